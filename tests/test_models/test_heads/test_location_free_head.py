import numpy as np
import pytest
import torch
from mmengine.structures import InstanceData
from mmpose.registry import MODELS
from mmpose.structures import PoseDataSample
from torch.nn import functional as F

from mmpose_da.models.heads import LocationFreeHead
from mmpose_da.models.layers import gaussian_heatmaps, pool_parts, region_masks
from mmpose_da.models.losses import LocationLoss, PartLoss
from mmpose_da.structures import joint_definition

K = 16
MPII = joint_definition("MpiiDataset")
SIZES = [(16, 12), (8, 6), (4, 3)]
CHANNELS = (6, 8, 10)
PARTS = dict(
    encoder=dict(num_layers=1, num_heads=2),
    prototypes=dict(temperature=0.2),
    relations=dict(kind="graph"),
)
ROWS = dict(
    cam=(),
    encoder=("encoder",),
    prototypes=("encoder", "prototypes"),
    prototypes_alone=("prototypes",),
    all=("encoder", "prototypes", "relations"),
)


def build(parts=(), **changes) -> LocationFreeHead:
    cfg = dict(
        type="LocationFreeHead",
        in_channels=CHANNELS,
        out_channels=K,
        channels=8,
        joints="MpiiDataset",
        decoder=dict(type="PartLabels", input_size=(48, 64)),
        **{name: PARTS[name] for name in parts},
    )
    torch.manual_seed(0)
    return MODELS.build(dict(cfg, **changes))


def build_row(row, classify, **changes) -> LocationFreeHead:
    if "prototypes" in ROWS[row]:
        changes["prototypes"] = dict(PARTS["prototypes"], classify=classify)
    return build(ROWS[row], **changes)


#: Left, top, right, and bottom of three parts of a 48 x 64 input.
REGIONS = [[-0.5, -0.5, 47.5, 63.5], [10, 5, 30, 40], [0, 30.5, 60, 63]]


def boxes_to_regions(boxes):
    return torch.tensor(
        [
            [[1 / (x2 - x1), 0, -x1 / (x2 - x1)], [0, 1 / (y2 - y1), -y1 / (y2 - y1)]]
            for x1, y1, x2, y2 in boxes
        ]
    )


def features(batch=2, sizes=SIZES):
    torch.manual_seed(1)
    return tuple(
        torch.randn(batch, channels, *size)
        for channels, size in zip(CHANNELS, sizes, strict=True)
    )


def samples(kinds):
    """Samples with keypoints ('k'), or part labels only, of the image or marked ('m').

    Others are 'p'.
    """
    torch.manual_seed(2)
    made = []
    for kind in kinds:
        sample = PoseDataSample(metainfo=dict(flip_indices=MPII["flip_indices"]))
        count = 3 if kind == "m" else 1
        labels = InstanceData(
            part_labels=torch.randint(0, 2, (count, K)).float(),
            part_weights=torch.randint(0, 2, (count, K)).float(),
        )
        if kind == "m":
            labels.part_regions = boxes_to_regions(REGIONS)
        if kind == "k":
            labels.keypoint_labels = 2 * torch.rand(1, K, 2) - 1
            labels.keypoint_weights = torch.randint(0, 2, (1, K)).float()
        sample.gt_instance_labels = labels
        made.append(sample)
    return made


@pytest.mark.parametrize("row", ROWS)
def test_rows(row):
    """Each part is there if its key is, with its own maps and classifications."""
    head = build(ROWS[row])
    found = head.part_maps(features())
    expected = ["cam", *(n for n in ("encoder", "prototypes") if n in ROWS[row])]
    assert list(found.maps) == expected
    stages = 1 + ("encoder" in ROWS[row]) + 2 * ("prototypes" in ROWS[row])
    location, logits, _ = head(features())
    assert logits.shape == (2, stages, K)
    grid = SIZES[0] if "encoder" in ROWS[row] else SIZES[-1]
    assert location.shape == (2, K, *grid)
    assert found.maps["cam"].shape == (2, K, *SIZES[-1])
    has_relations = head.prototypes is not None and head.prototypes.relations
    assert bool(has_relations) == ("relations" in ROWS[row])


def test_cam_is_a_linear_map_of_the_chosen_features():
    for scale in (0, 1, -1):
        pool = dict(kind="topk", share=0.2)
        head = build(cam_scale=scale, pool=pool).eval()
        feats = features()
        location, logits, _ = head(feats)
        used = head.projections[0](feats[scale])
        weight, bias = head.cam.weight[..., 0, 0], head.cam.bias
        by_hand = torch.einsum("kc,bchw->bkhw", weight, used) + bias[:, None, None]
        torch.testing.assert_close(location, by_hand)
        torch.testing.assert_close(logits[:, 0], pool_parts(by_hand, "topk", 0.2))


@pytest.mark.parametrize("row", ROWS)
def test_losses(row):
    head = build(ROWS[row], location_loss=dict(type="LocationLoss", sigma=0.7)).eval()
    feats, batch = features(3), samples("pkp")
    losses = head.loss(feats, batch)
    location, logits, _ = head(feats)
    labels, weights = (
        torch.cat([s.gt_instance_labels[name] for s in batch])
        for name in ("part_labels", "part_weights")
    )
    part = [PartLoss()(stage, labels, weights) for stage in logits.unbind(1)]
    torch.testing.assert_close(losses["loss_part"], sum(part) / len(part))
    of_one = batch[1].gt_instance_labels
    expected = LocationLoss(sigma=0.7)(
        location[1:2], of_one.keypoint_labels, of_one.keypoint_weights
    )
    torch.testing.assert_close(losses["loss_kpt"], expected)
    right = ((logits.mean(1) > 0) == (labels > 0)) & (weights > 0)
    assert losses["acc_part"] == pytest.approx(right.sum() / weights.sum())


@pytest.mark.parametrize("row", ["cam", "all"])
def test_loss_of_marked_parts(row):
    """By the mass of every map inside each part; other labels are of the image."""
    head = build_row(row, pool=dict(kind="mass"), classify=False).eval()
    feats, batch = features(3), samples("mpk")
    losses = head.loss(feats, batch)
    maps = head.part_maps(feats).maps
    assert len(maps) == (3 if row == "all" else 1)
    terms = []
    for found in maps.values():
        mass = F.pad(found.flatten(2), (0, 1)).softmax(-1)[..., :-1]
        height, width = found.shape[2:]
        stride = 48 / width, 64 / height
        offset = (stride[0] - 1) / 2, (stride[1] - 1) / 2
        values = 0
        for b, sample in enumerate(batch):
            labels = sample.gt_instance_labels
            for r in range(len(labels)):
                inside = torch.ones(height * width)
                if "part_regions" in labels:
                    region = labels.part_regions[r][None, None]
                    inside = region_masks(region, (height, width), stride, offset)
                p = (mass[b] * inside.flatten()).sum(-1)
                y = labels.part_labels[r]
                cross = -(y * p.log() + (1 - y) * (1 - p).log())
                values = values + (labels.part_weights[r] * cross).sum()
        terms.append(values)
    known = sum(sample.gt_instance_labels.part_weights.sum() for sample in batch)
    expected = sum(terms) / len(terms) / known
    torch.testing.assert_close(losses["loss_part"], expected, rtol=1e-4, atol=1e-5)


def test_marked_parts_need_mass():
    with pytest.raises(ValueError, match="MarkPartCrops.*pool.kind='mass', not 'lse'"):
        build().loss(features(1), samples("m"))


def test_marked_parts_are_scored():
    """The probability inside of all parts of a partition is that of the image."""
    head = build(pool=dict(kind="mass")).eval()
    batch = samples("mp")
    halves = [[-1, -1, 23.5, 64], [23.5, -1, 48, 64], [-1, -1, 48, 64]]
    batch[0].gt_instance_labels.part_regions = boxes_to_regions(halves)
    first, second = head.predict(features(), batch)
    assert "part_scores" not in second
    [scores] = first.part_scores.detach()
    torch.testing.assert_close(scores[0] + scores[1], scores[2])
    np.testing.assert_allclose(scores[2], first.keypoint_scores[0], rtol=1e-5)


def test_terms_of_the_loss():
    head = build()
    assert set(head.loss(features(), samples("pp"))) == {"loss_part", "acc_part"}
    found = head.loss(features(), samples("kp"), train_cfg=dict(compute_acc=False))
    assert set(found) == {"loss_part", "loss_kpt"}
    with pytest.raises(ValueError, match="no part labels.*codec PartLabels"):
        head.loss(features(1), [PoseDataSample()])


@pytest.mark.parametrize("row", ROWS)
@pytest.mark.parametrize(
    "kinds, classify", [("pp", True), ("pp", False), ("mm", False), ("mp", False)]
)
def test_part_labels_train_everything(row, kinds, classify):
    """Those of whole images, and of marked parts."""
    head = build_row(row, pool=dict(kind="mass"), classify=classify)
    head.loss(features(), samples(kinds))["loss_part"].backward()
    missing = [n for n, p in head.named_parameters() if p.grad is None]
    assert missing == []


@pytest.mark.parametrize("kinds", ["mm", "pm"])
def test_prototypes_do_not_classify_marked_parts(kinds):
    head = build_row("all", pool=dict(kind="mass"), classify=True)
    with pytest.raises(ValueError, match="MarkPartCrops.*prototypes.classify=False"):
        head.loss(features(), samples(kinds))


def test_positions_are_not_read_without_keypoints():
    """What a sample with part labels only holds beside them changes nothing."""
    head, batch = build(ROWS["all"]).eval(), samples("pp")
    before = head.loss(features(), batch)
    for sample in batch:
        sample.gt_instances = InstanceData(keypoints=np.random.rand(1, K, 2))
    after = head.loss(features(), batch)
    assert all(torch.equal(before[name], after[name]) for name in before)


# Prediction


class Given(LocationFreeHead):
    """Gives the location logits and part logits that it is fed."""

    def forward(self, feats):
        return feats


def given(**changes):
    head = build(**changes)
    head.__class__ = Given
    return head


def gaussian_logits(pixels, size, input_size=(48, 64)):
    """Log-Gaussians of one cell around points (B, K, 2) in input pixels."""
    height, width = size
    stride = torch.tensor(input_size) / torch.tensor([width, height])
    cells = (pixels + 0.5) / stride - 0.5
    return gaussian_heatmaps(cells.double(), size, 1.0).clamp(min=1e-30).log()


@pytest.mark.parametrize("size", [(64, 48), (32, 24), (16, 12), (8, 6)])
@pytest.mark.parametrize("flip_test", [False, True])
def test_exact_maps_are_decoded_without_bias(size, flip_test):
    """At any stride, with and without the flip test, to 1/50 of a pixel."""
    torch.manual_seed(0)
    pixels = torch.rand(8, K, 2) * torch.tensor([28.0, 40.0]) + 10
    logits = torch.randn(8, 1, K)
    feats = gaussian_logits(pixels, size), logits, []
    order = list(MPII["flip_indices"])
    if flip_test:
        mirrored = pixels[:, order].clone()
        mirrored[..., 0] = 47 - mirrored[..., 0]
        feats = [feats, (gaussian_logits(mirrored, size), logits[..., order], [])]
    preds = given().predict(feats, samples("p" * 8), dict(flip_test=flip_test))
    found = np.concatenate([pred.keypoints for pred in preds])
    np.testing.assert_allclose(found, pixels, atol=0.02)
    scores = np.concatenate([pred.keypoint_scores for pred in preds])
    np.testing.assert_allclose(scores, logits[:, 0].sigmoid(), rtol=1e-5)


def test_flip_test_averages_distributions_and_logits():
    head = build(ROWS["all"]).eval()
    feats = features()
    flipped = tuple(f.flip(-1) + 0.1 for f in feats)
    config = dict(flip_test=True, output_heatmaps=True)
    preds, fields = head.predict([feats, flipped], samples("pp"), config)
    order = list(MPII["flip_indices"])
    (location, logits, _), (other, other_logits, _) = head(feats), head(flipped)
    maps = F.softmax(location.flatten(2), -1).view_as(location)
    back = F.softmax(other.flatten(2), -1).view_as(other)[:, order].flip(-1)
    maps = (maps + back) / 2
    scores = ((logits + other_logits[..., order]) / 2).mean(1).sigmoid()
    peaks = maps / maps.amax((2, 3), keepdim=True)
    for i in range(2):
        torch.testing.assert_close(
            fields[i].heatmaps, peaks[i] * scores[i, :, None, None]
        )
        np.testing.assert_allclose(
            preds[i].keypoint_scores[0], scores[i].detach(), rtol=1e-5
        )
        assert preds[i].keypoints.shape == (1, K, 2)


def test_any_input_size():
    head = build(ROWS["all"]).eval()
    location, *_ = head(features(1, [(9, 14), (5, 7), (3, 4)]))
    assert location.shape == (1, K, 9, 14)


def test_one_scale():
    head = build(ROWS["all"], in_channels=6).eval()
    assert head(features()[:1])[0].shape == (2, K, *SIZES[0])


def test_feature_maps_that_do_not_match():
    with pytest.raises(ValueError, match="zip"):
        build(ROWS["all"])(features()[:2])


def test_half_precision():
    head, batch = build(ROWS["all"]), samples("kp")
    with torch.autocast("cpu", dtype=torch.bfloat16):
        losses = head.loss(features(), batch)
    total = losses["loss_part"] + losses["loss_kpt"]
    assert total.dtype == torch.float32
    total.backward()
    assert all(
        torch.isfinite(p.grad).all() for p in head.parameters() if p.grad is not None
    )


@pytest.mark.parametrize(
    "changes, message",
    [
        (dict(cam_scale=3), "cam_scale=3 is not the index of one of the 3"),
        (dict(pool=dict(kind="max")), "pool.kind must be"),
        (dict(relations=dict()), "head.prototypes is None"),
        (dict(prototypes={}, relations={}, joints=None), "relations need head.joints"),
        (
            dict(prototypes={}, relations={}, joints="CocoDataset"),
            "'coco' with 17 joints, but head.out_channels is 16",
        ),
        (
            dict(
                decoder=dict(
                    type="MSRAHeatmap",
                    input_size=(48, 64),
                    heatmap_size=(12, 16),
                    sigma=2,
                )
            ),
            "decoder must be a PartLabels, but is a MSRAHeatmap",
        ),
    ],
)
def test_wrong_arguments(changes, message):
    with pytest.raises(ValueError, match=message):
        build(**changes)
