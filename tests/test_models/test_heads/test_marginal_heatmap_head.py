import numpy as np
import pytest
import torch
from mmengine.structures import InstanceData
from mmpose.registry import MODELS
from mmpose.structures import PoseDataSample
from torch import nn

from mmpose_da.models.heads import MarginalHeatmapHead
from mmpose_da.models.heads.marginal_heatmap_head import (
    AxisPermutation,
    MarginalColumn,
    MarginalCombiner,
    exchange_axis,
)
from mmpose_da.models.layers import (
    PLANES,
    flip_marginals,
    marginal_gaussians,
    plane_shape,
)

SIZE = (24, 32, 16)  # w, h, d
K = 5
FLIP_INDICES = [0, 2, 1, 4, 3]
CODEC = dict(
    type="MarginalHeatmap", input_size=(192, 256), heatmap_size=SIZE, depth_range=160
)


def build(**kwargs) -> MarginalHeatmapHead:
    torch.manual_seed(0)
    arguments = dict(in_channels=6, out_channels=K, channels=8, decoder=CODEC)
    return MODELS.build(dict(type="MarginalHeatmapHead", **{**arguments, **kwargs}))


def random_keypoints(batch, margin=0.0, seed=0):
    """Joints (B, K, 3) in input pixels, off the border by a margin in pixels."""
    unit = np.random.default_rng(seed).random((batch, K, 3))
    extent = np.array([191, 255, 158])
    return margin + unit * (extent - 2 * margin) - [0, 0, 79]


def make_samples(head, keypoints, visible=None, depth_visible=None):
    samples = []
    for i in range(len(keypoints)):
        part = slice(i, i + 1)
        encoded = head.decoder.encode(
            keypoints[part],
            None if visible is None else visible[part],
            transformed_depth_visible=None
            if depth_visible is None
            else depth_visible[part],
        )
        sample = PoseDataSample(metainfo=dict(flip_indices=FLIP_INDICES))
        sample.gt_instance_labels = InstanceData(**encoded).to_tensor()
        samples.append(sample)
    return samples


def truth(head, keypoints):
    """Logits whose softmax is the target, as a stage of the head."""
    encoded = head.decoder.encode(keypoints)["keypoint_labels"]
    targets = marginal_gaussians(torch.from_numpy(encoded), SIZE, head.decoder.sigma)
    return tuple(values.log() for values in targets.values())


def random_stage(batch, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return tuple(
        3 * torch.randn(batch, K, *plane_shape(plane, SIZE), generator=generator)
        for plane in PLANES
    )


def says(head, monkeypatch):
    """Make a head return its input, so that a test says what it has predicted."""
    monkeypatch.setattr(head, "forward", lambda feats: feats)
    return head


# Layers


@pytest.mark.parametrize("plane, shape", [("xz", (8, 3, 5)), ("yz", (10, 4, 3))])
def test_exchange_equals_slow_computation(plane, shape):
    features = torch.arange(2 * 6 * 4 * 5).reshape(2, 6, 4, 5)  # g = 2, d = 3
    exchanged = exchange_axis(features, 3, plane)
    assert exchanged.shape == (2, *shape)
    for b, g, z, y, x in np.ndindex(2, 2, 3, 4, 5):
        index = (g * 4 + y, z, x) if plane == "xz" else (g * 5 + x, y, z)
        assert exchanged[(b, *index)] == features[b, g * 3 + z, y, x]


@pytest.mark.parametrize("channels", [4, 16, 24])  # fewer, as many, more than d
def test_permutation_takes_any_number_of_channels(channels):
    for plane in ("xz", "yz"):
        layer = AxisPermutation(plane, channels, SIZE)
        rows, columns = plane_shape(plane, SIZE)
        out = layer(torch.randn(2, channels, 32, 24))
        assert out.shape == (2, channels, rows, columns)


def reached(plane, row, column, axis_permutation):
    """Which positions (h, w) of the features a single logit depends on."""
    torch.manual_seed(0)
    layer = MarginalColumn(plane, 8, 1, SIZE, 1, axis_permutation).eval().double()
    features = torch.randn(1, 8, 32, 24, dtype=torch.float64, requires_grad=True)
    layer(features)[0, 0, row, column].backward()
    return features.grad[0].any(0)


def test_axis_permutation_sees_the_whole_axis_that_the_plane_lacks():
    # Two 3x3 convolutions reach two positions further.
    across_y = reached("xz", 8, 10, True)
    assert across_y.any(1).all()  # all rows
    assert across_y.any(0).nonzero().flatten().tolist() == [8, 9, 10, 11, 12]
    across_x = reached("yz", 10, 8, True)
    assert across_x.any(0).all()  # all columns
    assert across_x.any(1).nonzero().flatten().tolist() == [8, 9, 10, 11, 12]


def test_columns_without_it_are_local():
    for plane, row, column in [("xy", 9, 9), ("xz", 8, 10), ("yz", 10, 8)]:
        for axis_permutation in (True, False):
            if plane == "xy" or not axis_permutation:
                seen = reached(plane, row, column, axis_permutation)
                assert 20 <= seen.sum() <= 64
                assert not seen.any(0).all() and not seen.any(1).all()


def test_combiner_equals_slow_computation():
    layer = MarginalCombiner(2, 4, 3).eval().double()
    nn.init.normal_(layer.norm.running_mean)
    maps = [torch.randn(1, 2, *shape).double() for shape in [(5, 6), (3, 6), (5, 3)]]
    xy, xz, yz = (m.numpy()[0] for m in maps)
    a, b, c = (
        m.weight.detach().numpy().reshape(4, -1) for m in (layer.xy, layer.xz, layer.yz)
    )
    out = layer(*maps)
    for y, x in np.ndindex(5, 6):
        total = a @ xy[:, y, x] + b @ xz[:, :, x].ravel() + c @ yz[:, y].ravel()
        expected = (total - layer.norm.running_mean.numpy()) / np.sqrt(1 + 1e-5)
        np.testing.assert_allclose(out[0, :, y, x].detach(), expected, atol=1e-12)


# The network


@pytest.mark.parametrize("axis_permutation", [True, False])
@pytest.mark.parametrize("num_stages", [1, 3])
def test_shapes(num_stages, axis_permutation):
    head = build(num_stages=num_stages, axis_permutation=axis_permutation)
    outputs = head((None, torch.randn(2, 6, 8, 6)))
    if num_stages == 1:
        assert isinstance(outputs, tuple)
        outputs = [outputs]
    assert isinstance(outputs, list) and len(outputs) == num_stages
    for stage in outputs:
        assert [x.shape[1:] for x in stage] == [(K, 32, 24), (K, 16, 24), (K, 32, 16)]


def test_a_later_stage_sees_the_features_and_the_maps_before_it():
    head = build(num_stages=2)
    features = torch.randn(2, 6, 8, 6, requires_grad=True)
    sum(x.square().mean() for x in head([features])[1]).backward()
    first, second = head.stages
    for plane in PLANES:
        assert first[plane].final_layer.weight.grad.any()
    nn.init.zeros_(features.grad)
    for plane in PLANES:  # now the maps before it are uniform, whatever the features
        nn.init.zeros_(first[plane].final_layer.weight)
    sum(x.square().mean() for x in head([features])[1]).backward()
    assert features.grad.any()


@pytest.mark.parametrize(
    "num_deconvs, shape", [(0, (8, 6)), (0, (64, 48)), (2, (8, 6)), (1, (7, 5))]
)
def test_features_of_any_resolution(num_deconvs, shape):
    head = build(num_deconvs=num_deconvs, in_channels=(3, 6))
    xy, xz, yz = head((torch.randn(1, 3, 2, 2), torch.randn(1, 6, *shape)))
    assert xy.shape[2:] == (32, 24) and xz.shape[2:] == (16, 24)


@pytest.mark.parametrize("num_deconvs", [0, 2])
def test_there_is_no_shift_between_features_and_maps(num_deconvs):
    """With kernels that are symmetric in x, mirrored features give mirrored maps."""
    head = build(num_deconvs=num_deconvs, num_stages=1).eval().double()
    with torch.no_grad():
        for parameter in head.parameters():
            if parameter.dim() == 4:
                parameter += parameter.flip(-1).clone()
    features = torch.randn(1, 6, 8, 6, dtype=torch.float64)
    plain, mirrored = head([features]), head([features.flip(-1)])
    for i in range(2):  # 'xy' and 'xz'
        torch.testing.assert_close(mirrored[i], plain[i].flip(-1))
        assert plain[i].std() > 1e-3


def test_wrong_arguments():
    with pytest.raises(ValueError, match="num_stages.*0"):
        build(num_stages=0)
    heatmaps = dict(
        type="MSRAHeatmap", input_size=(64, 64), heatmap_size=(16, 16), sigma=2
    )
    with pytest.raises(ValueError, match="MarginalHeatmap.*MSRAHeatmap"):
        build(decoder=heatmaps)


# Loss


def test_true_maps_have_no_loss_and_predict_the_truth(monkeypatch):
    head = says(build(), monkeypatch)
    keypoints = random_keypoints(3, margin=40)  # at least four cells off the border
    stage = truth(head, keypoints)
    samples = make_samples(head, keypoints)
    losses = head.loss(stage, samples)
    assert losses["loss_kpt"].item() == pytest.approx(0, abs=1e-5)
    assert losses["xy_error"] < 1e-3 and losses["z_error"] < 1e-3
    preds = head.predict(stage, samples)
    assert len(preds) == 3
    for pred, expected in zip(preds, keypoints, strict=True):
        assert pred.keypoints.shape == (1, K, 3) and pred.keypoint_scores.shape == (
            1,
            K,
        )
        np.testing.assert_allclose(pred.keypoints[0], expected, atol=2e-3)
        assert (pred.keypoint_scores > 0.75).all()
    assert head.loss(random_stage(3), samples)["loss_kpt"] > 1


def test_errors_are_in_cells_over_joints_with_a_label(monkeypatch):
    head = says(build(), monkeypatch)
    keypoints = random_keypoints(1, margin=60)
    moved = keypoints.copy()
    moved[0, 0] += [3 * 8, -4 * 8, 0]  # cells of 8 px in x and y, and of 10 px in z
    moved[0, 1] += [0, 0, 20]
    moved[0, 2:] += [8, 8, 10]
    visible = np.array([[1, 1, 0, 0, 0]])
    depth_visible = np.array([[0, 1, 1, 1, 1]])
    samples = make_samples(head, keypoints, visible, depth_visible)
    losses = head.loss(truth(head, moved), samples)
    assert losses["xy_error"].item() == pytest.approx(5 / 2, abs=1e-2)
    assert losses["z_error"].item() == pytest.approx(2, abs=1e-2)
    assert not losses["xy_error"].requires_grad
    only = head.loss(truth(head, moved), samples, dict(compute_acc=False))
    assert list(only) == ["loss_kpt"]


def test_loss_is_the_sum_over_the_stages(monkeypatch):
    head = says(build(loss=dict(type="MarginalKLLoss", loss_weight=0.5)), monkeypatch)
    samples = make_samples(head, random_keypoints(2))
    stages = [random_stage(2, seed=seed) for seed in range(3)]
    single = [head.loss(stage, samples)["loss_kpt"] for stage in stages]
    together = head.loss(stages, samples)
    torch.testing.assert_close(together["loss_kpt"], sum(single))
    last = head.loss(stages[-1], samples)
    assert together["xy_error"] == last["xy_error"]


@pytest.mark.parametrize("num_stages", [1, 3])
def test_every_parameter_gets_a_gradient(num_stages):
    head = build(num_stages=num_stages)
    features = torch.randn(2, 6, 8, 6, requires_grad=True)
    samples = make_samples(head, random_keypoints(2))
    head.loss((features,), samples)["loss_kpt"].backward()
    assert features.grad.isfinite().all() and features.grad.any()
    for name, parameter in head.named_parameters():
        assert parameter.grad is not None and parameter.grad.isfinite().all(), name
        assert parameter.grad.any(), name


def test_samples_without_depth_teach_the_image_plane_alone():
    head = build()
    samples = make_samples(head, random_keypoints(2)[..., :2])
    head.loss([torch.randn(2, 6, 8, 6)], samples)["loss_kpt"].backward()
    (columns,) = head.stages
    assert columns["xy"].final_layer.weight.grad.any()
    for plane in ("xz", "yz"):
        assert not columns[plane].final_layer.weight.grad.any()


def test_no_labels_at_all():
    head = build()
    samples = make_samples(head, random_keypoints(2), visible=np.zeros((2, K)))
    losses = head.loss([torch.randn(2, 6, 8, 6)], samples)
    assert losses["loss_kpt"] == losses["xy_error"] == losses["z_error"] == 0
    losses["loss_kpt"].backward()


def test_overfits_one_batch():
    size = (8, 10, 6)
    codec = dict(CODEC, input_size=(64, 80), heatmap_size=size, depth_range=48)
    head = build(decoder=codec, channels=16, num_deconvs=1, num_convs=1)
    keypoints = np.random.default_rng(0).uniform(0.15, 0.85, (4, K, 3))
    keypoints = keypoints * [63, 79, 47] - [0, 0, 23]
    samples = make_samples(head, keypoints)
    features = [torch.randn(4, 6, 5, 4)]
    optimizer = torch.optim.Adam(head.parameters(), lr=1e-2)
    for _ in range(150):
        optimizer.zero_grad()
        losses = head.loss(features, samples)
        losses["loss_kpt"].backward()
        optimizer.step()
    assert losses["xy_error"] < 0.5 and losses["z_error"] < 0.5
    preds = head.eval().predict(features, samples)
    predicted = np.concatenate([pred.keypoints for pred in preds])
    assert np.abs(predicted - keypoints).mean() < 4  # half a cell of 8 px


# Prediction


def test_flip_test_of_a_network_that_is_equivariant(monkeypatch):
    head = says(build(), monkeypatch)
    stage = tuple(logits.double() for logits in random_stage(2))
    samples = make_samples(head, random_keypoints(2))
    mirrored = flip_marginals(dict(zip(PLANES, stage, strict=True)), FLIP_INDICES)
    mirrored = tuple(mirrored.values())
    plain = head.predict(stage, samples)
    both = head.predict([stage, mirrored], samples, dict(flip_test=True))
    for a, b in zip(plain, both, strict=True):
        np.testing.assert_allclose(a.keypoints, b.keypoints, atol=1e-12)
        np.testing.assert_allclose(a.keypoint_scores, b.keypoint_scores, atol=1e-12)
    # Without the mirror image, without the exchange: another prediction.
    for wrong in (stage, tuple(x.flip(-1) for x in stage)):
        other = head.predict([stage, wrong], samples, dict(flip_test=True))
        assert np.abs(other[0].keypoints - plain[0].keypoints).max() > 1


def test_flip_test_averages_probabilities(monkeypatch):
    head = says(build(), monkeypatch)
    keypoints, others = (random_keypoints(1, margin=40, seed=seed) for seed in (0, 1))
    mirrored = others[:, FLIP_INDICES]
    mirrored[..., 0] = 191 - mirrored[..., 0]  # centers of 192 pixels, from 0
    feats = [truth(head, keypoints), truth(head, mirrored)]
    samples = make_samples(head, keypoints)
    (pred,) = head.predict(feats, samples, dict(flip_test=True))
    expected = (keypoints + others) / 2
    np.testing.assert_allclose(pred.keypoints, expected, atol=2e-3)


def test_scores(monkeypatch):
    head = says(build(), monkeypatch)
    # In the middle of cells (x of 8 px, y of 8 px, z of 10 px), inside and at a corner.
    keypoints = np.array([[[99.5, 131.5, 5], [3.5, 3.5, -75], [103.5, 135.5, 0]]])
    keypoints = keypoints[:, [0, 1, 2, 2, 2]]
    samples = make_samples(head, keypoints)
    xy, xz, yz = (x.clone() for x in truth(head, keypoints))
    xy[:, 3:], xz[:, 3:], yz[:, 3:] = 0, 0, 0  # uniform maps
    (pred,) = head.predict((xy, xz, yz), samples)
    middle, corner, between, uniform, _ = pred.keypoint_scores[0]
    assert middle == pytest.approx(1, abs=1e-5) and corner == 1
    # Between four cells: each is half a cell off on both axes.
    assert between == pytest.approx(np.exp(-0.25), abs=1e-4)
    peak = 1 / (2 * np.pi)  # of a Gaussian with sigma 1
    cells = np.array([32 * 24, 16 * 24, 32 * 16])
    assert uniform == pytest.approx((1 / cells / peak).mean(), rel=1e-4)


def test_heatmaps_of_the_image_plane_on_request(monkeypatch):
    head = says(build(), monkeypatch)
    samples = make_samples(head, random_keypoints(2))
    preds, fields = head.predict(random_stage(2), samples, dict(output_heatmaps=True))
    assert len(preds) == len(fields) == 2
    assert fields[0].heatmaps.shape == (K, 32, 24)
    assert fields[0].heatmaps.sum((1, 2)).allclose(torch.ones(K))


def test_last_stage_predicts(monkeypatch):
    head = says(build(), monkeypatch)
    keypoints = random_keypoints(1, margin=40)
    samples = make_samples(head, keypoints)
    (pred,) = head.predict([random_stage(1), truth(head, keypoints)], samples)
    np.testing.assert_allclose(pred.keypoints, keypoints, atol=2e-3)


# Precision, and inside MMPose


HALF = pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])


@HALF
@pytest.mark.parametrize("num_stages", [1, 2])
def test_autocast(num_stages, dtype):
    head = build(num_stages=num_stages)
    samples = make_samples(head, random_keypoints(2))
    features = [torch.randn(2, 6, 8, 6)]
    expected = head.loss(features, samples)["loss_kpt"]
    with torch.autocast("cpu", dtype=dtype):
        assert head.stages[0]["xy"](torch.randn(1, 8, 32, 24)).dtype == dtype
        loss = head.loss(features, samples)["loss_kpt"]
        preds = head.predict(features, samples)
    assert loss.dtype == torch.float32
    assert loss.item() == pytest.approx(expected.item(), rel=0.02)
    loss.backward()
    assert all(p.grad.isfinite().all() for p in head.parameters())
    assert preds[0].keypoints.shape == (1, K, 3)


@HALF
def test_network_of_half_precision(dtype):
    head = build(num_stages=2).eval().to(dtype)
    samples = make_samples(head, random_keypoints(1))
    features = [torch.randn(1, 6, 8, 6, dtype=dtype)]
    assert head(features)[-1][0].dtype == dtype
    assert head.loss(features, samples)["loss_kpt"].dtype == torch.float32
    (pred,) = head.predict(features, samples)
    assert np.isfinite(pred.keypoints).all()


def test_inside_a_topdown_estimator():
    codec = dict(CODEC, input_size=(48, 64), heatmap_size=(6, 8, 6), depth_range=48)
    model = MODELS.build(
        dict(
            type="TopdownPoseEstimator",
            backbone=dict(type="ResNet", depth=18, stem_channels=8, base_channels=8),
            head=dict(
                type="MarginalHeatmapHead",
                in_channels=64,
                out_channels=K,
                decoder=codec,
                channels=8,
                num_stages=2,
            ),
            test_cfg=dict(flip_test=True),
        )
    )
    model.init_weights()
    keypoints = random_keypoints(2) / 4
    samples = make_samples(model.head, keypoints)
    size = np.array([48, 64])
    meta = dict(input_size=size, input_center=size / 2, input_scale=size)
    for sample in samples:
        sample.set_metainfo(meta)
        sample.gt_instances = InstanceData(
            bboxes=np.zeros((1, 4)), bbox_scores=np.ones(1)
        )
    images = torch.randn(2, 3, 64, 48)
    losses = model.loss(images, samples)
    assert set(losses) == {"loss_kpt", "xy_error", "z_error"}
    losses["loss_kpt"].backward()
    assert model.backbone.conv1.weight.grad.any()
    predicted = model.eval().predict(images, samples)
    assert predicted[1].pred_instances.keypoints.shape == (1, K, 3)
