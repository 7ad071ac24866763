"""Reading and training every kind of head, against MMPose's own codecs."""

import numpy as np
import pytest
import torch
from mmpose.registry import KEYPOINT_CODECS, MODELS
from torch import nn

from mmpose_da.models.heads import head_outputs
from mmpose_da.models.losses import ConsistencyLoss
from mmpose_da.structures import Pseudo, map_tensors

SIZE = (48, 64)  # width and height
MSRA = dict(type="MSRAHeatmap", input_size=SIZE, heatmap_size=(12, 16), sigma=2)
SIMCC = dict(type="SimCCLabel", input_size=SIZE, sigma=(4.0, 5.0), simcc_split_ratio=2)
REGRESSION = dict(type="RegressionLabel", input_size=SIZE)
COMBINED = dict(
    type="IntegralRegressionLabel",
    input_size=SIZE,
    heatmap_size=(12, 16),
    sigma=2,
)
MAPS = dict(in_channels=8, in_featuremap_size=(3, 4), num_joints=5)
HEADS = dict(
    msra=dict(
        type="HeatmapHead",
        in_channels=8,
        out_channels=5,
        deconv_out_channels=None,
        loss=dict(type="KeypointMSELoss", use_target_weight=True),
        decoder=dict(MSRA, unbiased=True),
    ),
    udp=dict(
        type="HeatmapHead",
        in_channels=8,
        out_channels=5,
        deconv_out_channels=None,
        loss=dict(type="KeypointMSELoss", use_target_weight=True),
        decoder=dict(MSRA, type="UDPHeatmap"),
    ),
    cpm=dict(
        type="CPMHead",
        in_channels=8,
        out_channels=5,
        num_stages=2,
        deconv_out_channels=None,
        loss=dict(type="KeypointMSELoss", use_target_weight=True),
        decoder=dict(MSRA, unbiased=True),
    ),
    simcc=dict(
        type="SimCCHead",
        in_channels=8,
        out_channels=5,
        input_size=SIZE,
        in_featuremap_size=(3, 4),
        simcc_split_ratio=2,
        deconv_out_channels=None,
        loss=dict(type="KLDiscretLoss", use_target_weight=True),
        decoder=SIMCC,
    ),
    rtmpose=dict(
        type="RTMCCHead",
        in_channels=8,
        out_channels=5,
        input_size=SIZE,
        in_featuremap_size=(3, 4),
        simcc_split_ratio=2,
        final_layer_kernel_size=3,
        gau_cfg=dict(
            hidden_dims=16,
            s=8,
            expansion_factor=2,
            dropout_rate=0.0,
            drop_path=0.0,
            act_fn="SiLU",
            use_rel_bias=False,
            pos_enc=False,
        ),
        loss=dict(
            type="KLDiscretLoss", use_target_weight=True, beta=10.0, label_softmax=True
        ),
        decoder=dict(SIMCC, normalize=False),
    ),
    regression=dict(
        type="RegressionHead",
        in_channels=8,
        num_joints=5,
        loss=dict(type="SmoothL1Loss", use_target_weight=True),
        decoder=REGRESSION,
    ),
    rle=dict(
        type="RLEHead",
        in_channels=8,
        num_joints=5,
        loss=dict(type="RLELoss", use_target_weight=True),
        decoder=REGRESSION,
    ),
    integral=dict(
        type="IntegralRegressionHead",
        loss=dict(type="SmoothL1Loss", use_target_weight=True),
        decoder=REGRESSION,
        deconv_out_channels=None,
        **MAPS,
    ),
    dsnt=dict(
        type="DSNTHead",
        loss=dict(
            type="MultipleLossWrapper",
            losses=[
                dict(type="SmoothL1Loss", use_target_weight=True),
                dict(type="JSDiscretLoss", use_target_weight=True),
            ],
        ),
        decoder=COMBINED,
        deconv_out_channels=None,
        **MAPS,
    ),
)


@pytest.fixture(params=HEADS)
def head(request):
    torch.manual_seed(0)
    head = MODELS.build(HEADS[request.param])
    head.name = request.param
    return head


def output_of(head, points):
    """What a head gives that is exact at points (B, K, 2) in pixels of the input."""
    codec = KEYPOINT_CODECS.build(dict(HEADS[head.name]["decoder"]))
    encoded = [codec.encode(p[None], np.ones((1, len(p)), np.float32)) for p in points]

    def label(name):
        return torch.as_tensor(np.concatenate([e[name] for e in encoded])).float()

    if head.name in ("msra", "udp"):
        return torch.as_tensor(np.stack([e["heatmaps"] for e in encoded]))
    if head.name == "cpm":
        last = torch.as_tensor(np.stack([e["heatmaps"] for e in encoded]))
        return [torch.zeros_like(last), last]
    if head.name in ("simcc", "rtmpose"):
        return label("keypoint_x_labels"), label("keypoint_y_labels")
    coordinates = label("keypoint_labels")
    if head.name == "rle":
        return torch.cat([coordinates, torch.zeros_like(coordinates)], -1)
    if head.name in ("integral", "dsnt"):
        return coordinates, torch.rand(len(points), 5, 16, 12)
    return coordinates


def some_points(count=3, seed=0, margin=6):
    rng = np.random.default_rng(seed)
    high = np.array(SIZE) - margin
    return rng.uniform(margin, high, (count, 5, 2)).astype(np.float32)


def test_points_are_those_that_were_encoded(head):
    expected = some_points()
    outputs = head_outputs(head)
    points, confidence = outputs.points(output_of(head, expected))
    assert points.shape == (3, 5, 2) and confidence.shape == (3, 5)
    found = points.double().numpy() * outputs.scale
    # A SimCC bin is half a pixel; peaks of heatmaps are found to a tenth of theirs.
    np.testing.assert_allclose(found, expected, atol=0.4)


def test_points_are_those_of_mmpose(head):
    # Not near the border, where MMPose's blur of a heatmap moves its peak.
    output = output_of(head, some_points(margin=16))
    outputs = head_outputs(head)
    points, _ = outputs.points(output)
    decoded = output
    if head.name == "cpm":
        decoded = output[-1]
    elif head.name in ("integral", "dsnt"):
        decoded = output[0]
    if head.name in ("regression", "integral", "dsnt", "rle"):
        decoded = decoded[:, None]
    theirs = np.concatenate([p.keypoints for p in head.decode(decoded)])
    if head.name == "udp":  # MMPose's UDP crop undoes the factor
        theirs = theirs * (np.array(SIZE) - 1) / SIZE
    ours = points.double().numpy() * outputs.scale
    np.testing.assert_allclose(ours, theirs, atol=0.3)


def test_points_are_inside_up_to_the_last_pixel(head):
    outputs = head_outputs(head)
    last = np.multiply(outputs.last(output_of(head, some_points())), outputs.scale)
    assert (last <= SIZE).all() and (last >= np.array(SIZE) - 4).all()


def test_what_is_taught_is_the_right_answer(head):
    """The loss is lowest for the output that shows the points, and ignores others."""
    outputs, sigma = head_outputs(head), 2.0
    loss = ConsistencyLoss()
    right, wrong = some_points(), some_points(seed=1)
    points, confidence = outputs.points(output_of(head, right))
    pseudo = Pseudo(points, confidence, torch.ones(3, 5))

    def loss_of(points, weights=None):
        # Logits that are sharp, as those of a trained SimCC head are.
        sharp = 20 if head.name in ("simcc", "rtmpose") else 1
        output = map_tensors(lambda x: sharp * x, output_of(head, points))
        used = pseudo if weights is None else Pseudo(*pseudo_parts, weights)
        return outputs.pseudo_loss(output, used, sigma, loss).item()

    pseudo_parts = pseudo.points, pseudo.confidence
    assert loss_of(right) < loss_of(wrong)
    only_first = torch.zeros(3, 5)
    only_first[:, 0] = 1
    mixed = right.copy()
    mixed[:, 1:] = wrong[:, 1:]
    if head.name not in ("dsnt",):  # its random heatmaps differ from call to call
        assert loss_of(mixed, only_first) == pytest.approx(
            loss_of(right, only_first), rel=0.05, abs=1e-4
        )
    nothing = loss_of(wrong, torch.zeros(3, 5))
    assert nothing == pytest.approx(0, abs=1e-6) and np.isfinite(nothing)


def test_simcc_vectors_are_those_of_the_codec():
    head = MODELS.build(HEADS["simcc"])
    head.name = "simcc"
    points = np.round(2 * some_points()) / 2  # on bins
    expected = output_of(head, points)
    outputs = head_outputs(head)
    found = outputs.targets(expected, torch.as_tensor(2 * points))
    for ours, theirs in zip(found, expected, strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-4)


def test_confidence_is_that_of_mmpose():
    head = MODELS.build(HEADS["rle"])
    output = torch.rand(2, 5, 4)
    _, confidence = head_outputs(head).points(output)
    decoded = torch.cat([output[..., :2], output[..., 2:].sigmoid()], -1)
    theirs = np.concatenate([p.keypoint_scores for p in head.decode(decoded[:, None])])
    np.testing.assert_allclose(confidence, theirs, rtol=1e-5)
    simcc = MODELS.build(HEADS["simcc"])
    vectors = torch.rand(2, 5, 96), torch.rand(2, 5, 128)
    _, confidence = head_outputs(simcc).points(vectors)
    theirs = np.concatenate([p.keypoint_scores for p in simcc.decode(vectors)])
    np.testing.assert_allclose(confidence, theirs, rtol=1e-5)


def test_other_heads_are_not_read():
    assert head_outputs(nn.Linear(1, 1)) is None


def test_simcc_needs_gaussians():
    head = MODELS.build(
        dict(HEADS["simcc"], decoder=dict(SIMCC, smoothing_type="standard"))
    )
    with pytest.raises(ValueError, match="smoothing_type='gaussian'.*'standard'"):
        head_outputs(head)
