import pytest
import torch
from mmpose.models.heads import HeatmapHead
from mmpose.registry import MODELS

from mmpose_da.models.heads import head_outputs
from mmpose_da.models.layers import gaussian_heatmaps
from mmpose_da.structures import Pseudo

SIZE, SIGMA = (24, 32), 2.0
CODECS = dict(
    udp=dict(type="UDPHeatmap", input_size=(96, 128), heatmap_size=SIZE, sigma=2),
    msra=dict(type="MSRAHeatmap", input_size=(96, 128), heatmap_size=SIZE, sigma=2),
)


def config(codec="udp", **kwargs):
    return (
        dict(
            type="LogitHeatmapHead",
            in_channels=8,
            out_channels=3,
            deconv_out_channels=(8,),
            deconv_kernel_sizes=(4,),
            conv_out_channels=(8,),
            conv_kernel_sizes=(3,),
            decoder=CODECS[codec],
        )
        | kwargs
    )


def make(codec="udp", **kwargs):
    torch.manual_seed(0)
    head = MODELS.build(config(codec, **kwargs))
    head.init_weights()
    return head


def logits_of(points, offset=0.0):
    """Logits whose softmax is a Gaussian; their height means nothing."""
    width, height = SIZE
    return gaussian_heatmaps(points, (height, width), SIGMA).clamp(1e-30).log() + offset


POINTS = torch.tensor([[[9.3, 20.6], [12.0, 8.75], [15.4, 16.0]]])


@pytest.mark.parametrize("offset", [-20.0, 0.0, 100.0])
def test_decodes_between_pixels_whatever_the_height_of_the_logits(offset):
    [found] = make().decode(logits_of(POINTS, offset))
    scale = torch.tensor([96 / 23, 128 / 31])  # as UDP decodes
    keypoints = torch.from_numpy(found.keypoints).float()
    torch.testing.assert_close(keypoints, POINTS * scale, atol=0.05, rtol=0)
    # The highest pixel of a Gaussian is at most 0.7 pixels away from its peak.
    assert (found.keypoint_scores > 0.93).all() and (found.keypoint_scores <= 1).all()


def test_msra_codec_finds_pixels_where_the_logits_are_negative():
    points = POINTS.round()
    [found] = make("msra").decode(logits_of(points, -50.0))
    torch.testing.assert_close(torch.from_numpy(found.keypoints), 4 * points)


def test_a_map_sharper_than_the_label_keeps_its_shape():
    heatmaps = make().heatmaps(4 * logits_of(POINTS))
    assert (heatmaps.amax(dim=(2, 3)) == 1).all()
    sharp = gaussian_heatmaps(POINTS, SIZE[::-1], SIGMA / 2)
    sharp = sharp / sharp.amax(dim=(2, 3), keepdim=True)
    torch.testing.assert_close(heatmaps, sharp, atol=1e-5, rtol=0)


def test_an_unsure_map_has_a_low_score():
    [found] = make().decode(torch.zeros(1, 3, *SIZE[::-1]))
    assert found.keypoint_scores == pytest.approx(2 * 3.14159 * 4 / (24 * 32), 1e-3)


def test_keys_are_those_of_the_stock_head_and_so_are_the_highest_pixels():
    head = make().eval()
    stock = MODELS.build(
        config(type="HeatmapHead", loss=dict(type="KeypointMSELoss"))
    ).eval()
    assert type(stock) is HeatmapHead
    with torch.no_grad():
        for parameter in head.parameters():
            parameter.normal_(std=0.3)  # new heads output logits close to 0
    stock.load_state_dict(head.state_dict(), strict=True)
    feats = (torch.randn(2, 8, 16, 12),)
    logits = head(feats)
    assert torch.equal(logits, stock(feats))
    highest = head.heatmaps(logits).flatten(2).argmax(-1)
    assert torch.equal(highest, logits.flatten(2).argmax(-1))


def test_final_layer_of_a_head_without_convolutions_is_not_loaded():
    stock = MODELS.build(
        config(
            type="HeatmapHead",
            loss=dict(type="KeypointMSELoss"),
            conv_out_channels=None,
            conv_kernel_sizes=None,
        )
    )
    head = make()
    before = {k: v.clone() for k, v in head.state_dict().items()}
    missing, unexpected = head.load_state_dict(stock.state_dict(), strict=False)
    assert not unexpected and "final_layer.weight" in missing
    for name, value in head.state_dict().items():
        of_stock = name.startswith("deconv_layers")
        expected = stock.state_dict()[name] if of_stock else before[name]
        assert torch.equal(value, expected), name


def test_own_checkpoint_and_a_head_of_one_layer_are_loaded_completely():
    head, other = make(), make()
    torch.nn.init.ones_(other.final_layer.weight)
    head.load_state_dict(other.state_dict(), strict=True)
    assert (head.final_layer.weight == 1).all()
    one_layer = dict(conv_out_channels=None, conv_kernel_sizes=None)
    head, other = make(**one_layer), make(**one_layer)
    torch.nn.init.ones_(other.final_layer.weight)
    head.load_state_dict(other.state_dict(), strict=True)
    assert (head.final_layer.weight == 1).all()


def test_outputs_are_read_and_taught_as_heatmaps():
    head = make()
    outputs = head_outputs(head)
    assert outputs.gives == {"points", "maps"}
    logits = logits_of(POINTS, 5.0)
    points, confidence = outputs.points(logits)
    torch.testing.assert_close(points, POINTS, atol=1e-3, rtol=0)
    assert (confidence > 0.93).all() and (confidence <= 1).all()
    assert torch.equal(outputs.maps(logits)["xy"], logits)
    pseudo = Pseudo(POINTS, confidence, torch.ones(1, 3))
    right = outputs.pseudo_loss(logits, pseudo, SIGMA, None)
    moved = Pseudo(POINTS + 3, confidence, torch.ones(1, 3))
    wrong = outputs.pseudo_loss(logits, moved, SIGMA, None)
    assert right.item() == pytest.approx(0, abs=1e-3)
    # The divergence of two Gaussians: 3^2 + 3^2 over 2 sigma^2.
    assert wrong.item() == pytest.approx(18 / 8, 0.05)


@pytest.mark.parametrize(
    "codec",
    [
        dict(CODECS["udp"], heatmap_type="combined"),
        dict(type="RegressionLabel", input_size=(96, 128)),
    ],
)
def test_other_codecs_are_rejected(codec):
    with pytest.raises(ValueError, match="MSRAHeatmap or UDPHeatmap"):
        MODELS.build(config() | dict(decoder=codec))
