import pytest
import torch
from mmengine.structures import InstanceData
from mmpose.registry import MODELS
from tiny_model import batch as tiny_batch
from tiny_model import build, domain_batch
from torch.nn import functional as F

from mmpose_da.engine import EMATeacherHook
from mmpose_da.models.adaptations import PartClassification
from mmpose_da.models.layers import pool_parts, region_masks
from mmpose_da.models.losses import PartLoss
from mmpose_da.structures import joint_definition, part_labels

MPII = joint_definition("MpiiDataset")


def with_parts(samples):
    for sample in samples:
        if sample.domain == "target_unlabeled":
            sample.gt_instance_labels = InstanceData(
                part_labels=torch.randint(0, 2, (1, 16)).float(),
                part_weights=torch.randint(0, 2, (1, 16)).float(),
            )
    return samples


@pytest.fixture
def batch():
    torch.manual_seed(0)
    batch = domain_batch(source=2, target_unlabeled=3)
    with_parts(batch.data_samples)
    return batch


@pytest.mark.parametrize(
    "pool", [dict(kind="topk", share=0.01), dict(kind="lse"), dict(kind="mass")]
)
def test_classifies_by_pooled_heatmaps(batch, pool):
    cfg = dict(type="PartClassification", metainfo=MPII, pool=pool, weight=0.5)
    adaptation = MODELS.build(dict(cfg, gain=4, threshold=0.3))
    terms = adaptation(batch)
    logits = pool_parts(4 * (batch.maps["xy"][2:] - 0.3), **pool)
    parts = part_labels(batch.data_samples[2:])
    labels, weights = parts.labels[:, 0], parts.weights[:, 0]
    expected = 0.5 * PartLoss()(logits, labels, weights)
    torch.testing.assert_close(terms["loss"], expected)
    right = ((logits > 0) == (labels > 0))[weights > 0]
    assert terms["accuracy"] == pytest.approx(right.float().mean())


def test_classifies_marked_parts():
    """By the mass of heatmaps in them, in a model whose heatmaps have stride 4."""
    parts = dict(type="PartClassification", gain=4, threshold=0.3)
    model = build(adaptations=dict(parts=parts), joints="MpiiDataset")
    images, samples = tiny_batch(source=2, target_unlabeled=2)
    for sample in samples[2:]:
        sample.gt_instance_labels = InstanceData(
            part_labels=torch.randint(0, 2, (3, 16)).float(),
            part_weights=torch.randint(0, 2, (3, 16)).float(),
            part_regions=torch.rand(3, 2, 3) / 50,
        )
    losses = model.loss(images, samples)
    heatmaps = model.head(model.extract_feat(images))[2:]
    parts = part_labels(samples[2:])
    stride = images.shape[-1] / heatmaps.shape[-1]
    masks = region_masks(parts.regions, heatmaps.shape[2:], (stride, stride))
    assert 0 < masks.mean() < 1
    mass = F.pad(4 * (heatmaps - 0.3).flatten(2), (0, 1)).softmax(-1)[..., :-1]
    p = torch.einsum("brn,bkn->brk", masks.flatten(2), mass)
    cross = F.binary_cross_entropy(p, parts.labels, parts.weights, reduction="sum")
    torch.testing.assert_close(losses["parts.loss"], cross / parts.weights.sum())


def test_trains_the_target_and_its_own_thresholds(batch):
    adaptation = PartClassification(metainfo=MPII)
    adaptation(batch)["loss"].backward()
    reached = batch.maps["xy"].grad.flatten(1).any(1)
    assert reached.tolist() == [False, False, True, True, True]
    assert adaptation.gain.grad != 0 and adaptation.threshold.grad.any()


def test_a_joint_that_is_not_shown_loses_its_peak():
    """And one that is shown gets one."""
    heatmaps = torch.full((1, 16, 8, 8), 0.4, requires_grad=True)
    batch = domain_batch(target_unlabeled=1)
    batch.maps["xy"] = heatmaps
    labels = torch.arange(16)[None] % 2
    batch.data_samples[0].gt_instance_labels = InstanceData(
        part_labels=labels.float(), part_weights=torch.ones(1, 16)
    )
    PartClassification(metainfo=MPII)(batch)["loss"].backward()
    slope = heatmaps.grad[0].sum((1, 2))
    assert torch.equal(slope < 0, labels[0] == 1) and (slope != 0).all()


def test_in_an_estimator_with_a_teacher():
    teacher = dict(
        type="MeanTeacher", student_view=dict(type="RandomView", flip_prob=1.0)
    )
    parts = dict(type="PartClassification")
    model = build(adaptations=dict(parts=parts, teacher=teacher), joints="MpiiDataset")
    EMATeacherHook().update(model)
    images, samples = tiny_batch(source=2, target_unlabeled=2)
    losses = model.loss(images, with_parts(samples))
    assert {"parts.loss", "parts.accuracy", "teacher.loss"} <= set(losses)
    losses["parts.loss"].backward()
    assert model.head.final_layer.weight.grad.any()
    stripped = {n for n in model.state_dict() if "gain" in n or "threshold" in n}
    assert all(name.startswith("adaptations.parts.") for name in stripped)


def test_a_rank_without_target_has_a_zero_with_a_graph():
    adaptation = PartClassification(metainfo=MPII)
    terms = adaptation(domain_batch(source=2))
    terms["loss"].backward()
    assert terms["loss"] == 0 and adaptation.threshold.grad is not None


def test_errors():
    batch = domain_batch(source=1, target_unlabeled=1)
    with pytest.raises(ValueError, match="'target_unlabeled' has no part labels"):
        PartClassification(metainfo=MPII)(batch)
    with pytest.raises(ValueError, match="set `joints` of the estimator"):
        PartClassification()
    with pytest.raises(ValueError, match="gain must be positive"):
        PartClassification(metainfo=MPII, gain=0)
    with pytest.raises(ValueError, match="pool.kind must be"):
        PartClassification(metainfo=MPII, pool=dict(kind="max"))
    with pytest.raises(ValueError, match="needs images of"):
        PartClassification(metainfo=MPII).check(domain_batch(source=2))
