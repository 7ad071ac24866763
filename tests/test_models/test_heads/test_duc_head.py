import pytest
import torch
import torch.nn.functional as F
from mmpose.models.heads import HeatmapHead
from mmpose.registry import MODELS
from torch import nn

from mmpose_da.models.heads import DUCHead
from mmpose_da.models.layers import DUC

CODEC = dict(type="MSRAHeatmap", input_size=(64, 64), heatmap_size=(16, 16), sigma=2)


def build(**kwargs) -> DUCHead:
    torch.manual_seed(0)
    arguments = dict(in_channels=6, out_channels=5, deconv_out_channels=(8, 4, 4))
    arguments.update(kwargs)
    return MODELS.build(dict(type="DUCHead", decoder=CODEC, **arguments))


def test_layers_take_the_place_of_the_deconvolutions():
    head = build()
    assert isinstance(head, HeatmapHead)
    layers = list(head.deconv_layers)
    assert [type(layer) for layer in layers] == [DUC, DUC, DUC]
    assert [layer.conv.in_channels for layer in layers] == [6, 8, 4]
    feats = (torch.randn(2, 3, 4, 4), torch.randn(2, 6, 2, 2))
    x = feats[-1]
    for layer in layers:
        x = layer(x)
    expected = head.final_layer(x)
    head.eval()
    for layer in layers:
        layer.train()
    torch.testing.assert_close(head(feats), expected)
    assert expected.shape == (2, 5, 16, 16)


def test_factors():
    head = build(deconv_out_channels=(8, 4), upscale_factors=(4, 3))
    assert head((torch.randn(2, 6, 2, 3),)).shape == (2, 5, 24, 36)


@pytest.mark.parametrize("none", [None, ()])
def test_no_upsampling(none):
    head = build(deconv_out_channels=none)
    assert isinstance(head.deconv_layers, nn.Identity)
    stock = MODELS.build(
        dict(
            type="HeatmapHead",
            in_channels=6,
            out_channels=5,
            deconv_out_channels=None,
            decoder=CODEC,
        )
    )
    stock.load_state_dict(head.state_dict(), strict=True)
    feats = (torch.randn(2, 6, 16, 16),)
    assert torch.equal(head(feats), stock(feats))


@pytest.mark.parametrize("training", [True, False])
def test_starts_as_nearest_neighbor_upsampling_after_init_weights(training):
    """HeatmapHead draws the filters of all convolutions anew."""
    head = build()
    head.init_weights()
    head.train(training)
    x = torch.randn(2, 6, 2, 2)
    for layer in head.deconv_layers:
        assert layer.conv.weight.std() < 0.002  # as HeatmapHead's other layers
        out = layer(x)
        repeated = F.interpolate(out[..., ::2, ::2], scale_factor=2)
        assert torch.equal(out, repeated) and out.std() > 0
        x = 1000 * out.detach()
    assert head.final_layer.weight.std() < 0.002


def test_independent_start():
    head = build(equal_subpixels=False)
    head.init_weights()
    for layer in head.deconv_layers:
        out = layer(torch.randn(2, layer.conv.in_channels, 2, 2))
        assert not torch.equal(out[..., ::2, ::2], out[..., 1::2, 1::2])


def test_starts_in_an_estimator(tmp_path):
    """Through the init_weights of the whole estimator, and after a checkpoint."""
    config = dict(
        type="TopdownPoseEstimator",
        backbone=dict(type="ResNet", depth=18, stem_channels=8, base_channels=8),
        head=dict(
            type="DUCHead",
            in_channels=64,
            out_channels=5,
            deconv_out_channels=(8, 8, 8),
            decoder=CODEC,
        ),
    )
    model = MODELS.build(config)
    model.init_weights()
    layer = model.head.deconv_layers[0]
    out = layer(torch.randn(2, 64, 2, 2))
    assert torch.equal(out, F.interpolate(out[..., ::2, ::2], scale_factor=2))

    for parameter in model.parameters():
        nn.init.normal_(parameter)
    path = tmp_path / "trained.pth"
    torch.save(dict(state_dict=model.state_dict()), path)
    config["init_cfg"] = dict(type="Pretrained", checkpoint=str(path))
    loaded = MODELS.build(config)
    loaded.init_weights()
    assert torch.equal(loaded.head.deconv_layers[0].conv.weight, layer.conv.weight)


def test_one_factor_for_each_layer():
    with pytest.raises(ValueError, match=r"upscale_factors.*\(8, 4\) and \(2, 2, 2\)"):
        build(deconv_out_channels=(8, 4))
