import pytest
import torch
from torch import nn
from torchvision.models import vgg

from mmpose_da.models.styles import VGGDecoder, VGGEncoder
from mmpose_da.models.styles.vgg import load_encoder

IMAGENET = torch.tensor([[0.485, 0.456, 0.406], [0.229, 0.224, 0.225]])


@pytest.fixture(scope="module")
def torchvision_layers() -> nn.Sequential:
    """``vgg19().features[:21]``, without the classifier, which is huge."""
    torch.manual_seed(0)
    return vgg.make_layers(vgg.cfgs["E"])[:21]


@pytest.fixture(scope="module")
def checkpoint(torchvision_layers, tmp_path_factory):
    state = nn.ModuleDict(dict(features=torchvision_layers)).state_dict()
    state["features.34.weight"] = state["classifier.0.weight"] = torch.ones(1)
    path = tmp_path_factory.mktemp("vgg") / "vgg19.pth"
    torch.save(state, path)
    return str(path)


def test_encoder_is_that_of_torchvision_but_for_the_frame(
    torchvision_layers, checkpoint
):
    encoder = load_encoder(checkpoint)
    for layer in encoder.features:
        if isinstance(layer, nn.Conv2d):
            assert layer.padding_mode == "reflect"
            layer.padding_mode = "zeros"
    pixels = torch.rand(2, 3, 32, 16)
    mean, std = IMAGENET[..., None, None]
    x, expected = (pixels - mean) / std, []
    for layer in torchvision_layers:
        x = layer(x)
        expected.append(x)
    outputs = encoder(pixels)
    shapes = [(2, 64 << i, 32 >> i, 16 >> i) for i in range(4)]
    assert [tuple(f.shape) for f in outputs] == shapes
    for output, index in zip(outputs, (1, 6, 11, 20), strict=True):
        torch.testing.assert_close(output, expected[index])


def test_reflection_leaves_a_flat_image_flat():
    flat = torch.full((1, 3, 16, 16), 0.8)
    for features in VGGEncoder()(flat):
        assert features.std((2, 3)).max() < 1e-4


def test_decoder_mirrors_the_encoder():
    encoder, decoder = VGGEncoder(), VGGDecoder()

    def widths(layers):
        return [(m.in_channels, m.out_channels) for m in layers if hasattr(m, "stride")]

    def kinds(layers, scaling):
        return [
            "conv" if isinstance(m, nn.Conv2d) else "scale"
            for m in layers
            if isinstance(m, (nn.Conv2d, scaling))
        ]

    convs = [m for m in encoder.features if isinstance(m, nn.Conv2d)]
    assert [(o, i) for i, o in widths(decoder)] == widths(convs)[::-1]
    mirrored = kinds(encoder.features, nn.MaxPool2d)[::-1]
    assert kinds(decoder, nn.Upsample) == mirrored
    assert isinstance(decoder[-1], nn.Conv2d)
    assert decoder(torch.rand(2, 512, 4, 2)).shape == (2, 3, 32, 16)


def test_the_encoder_is_fixed():
    assert not any(p.requires_grad for p in VGGEncoder().parameters())


@pytest.mark.parametrize("size", [(20, 16), (16, 12), (8, 16)])
def test_wrong_sizes(size):
    with pytest.raises(ValueError, match="multiples of 8"):
        VGGEncoder()(torch.rand(1, 3, *size))


def test_checkpoint_of_something_else(tmp_path):
    path = tmp_path / "other.pth"
    torch.save(dict(state_dict={"conv1.weight": torch.ones(1)}), path)
    with pytest.raises(ValueError, match="no weights of an encoder with channels"):
        load_encoder(str(path))


# Other layouts


def test_a_smaller_network_of_the_same_form():
    channels = (4, None, 6, 8, None, 10)
    encoder, decoder = VGGEncoder(channels), VGGDecoder(channels)
    outputs = encoder(torch.rand(2, 3, 16, 8))
    shapes = [(2, 4, 16, 8), (2, 6, 8, 4), (2, 10, 4, 2)]
    assert [tuple(f.shape) for f in outputs] == shapes
    assert all((f >= 0).all() for f in outputs)  # after the activation
    assert decoder(outputs[-1]).shape == (2, 3, 16, 8)
    assert encoder.stride == 4 and VGGEncoder().stride == 8
    assert VGGEncoder().taps == [1, 6, 11, 20]
    with pytest.raises(ValueError, match="multiples of 4"):
        encoder(torch.rand(1, 3, 6, 8))


@pytest.mark.parametrize(
    "channels", [(), (None, 4), (4, None), (4, None, None, 8), (4, -1), (4, 2.5)]
)
def test_wrong_layouts(channels):
    with pytest.raises(ValueError, match="channels must be the output channels"):
        VGGEncoder(channels)


def test_checkpoint_of_another_layout(tmp_path):
    path = tmp_path / "other.pth"
    torch.save(VGGEncoder((4, None, 6)).state_dict(), path)
    assert load_encoder(str(path), (4, None, 6)).stride == 2
    with pytest.raises(ValueError, match="does not have channels=.4, None, 8."):
        load_encoder(str(path), (4, None, 8))
    with pytest.raises(ValueError, match="no weights .* ImageAutoencoder"):
        load_encoder(str(path))
