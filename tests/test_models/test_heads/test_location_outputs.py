"""How the estimator and adaptations read and teach a location-free head."""

from operator import itemgetter

import pytest
import torch
from mmengine.structures import InstanceData
from mmpose.registry import MODELS
from mmpose.structures import PoseDataSample
from tiny_model import LOCATION_FREE_HEAD, model_config

from mmpose_da.engine import EMATeacherHook
from mmpose_da.models.heads import head_outputs
from mmpose_da.models.heads.head_outputs import LocationOutputs
from mmpose_da.models.layers import gaussian_heatmaps
from mmpose_da.structures import Pseudo, map_tensors

HEAD = dict(
    LOCATION_FREE_HEAD, prototypes=dict(), relations=dict(), joints="MpiiDataset"
)


def build(adaptations=None, kind="DomainAdaptiveTopdown", **kwargs):
    cfg = model_config(type=kind, **kwargs)
    cfg["backbone"]["out_indices"] = (0, 1, 2)
    cfg["head"] = HEAD
    if kind == "DomainAdaptiveTopdown":
        cfg.update(adaptations=adaptations or {}, joints="MpiiDataset")
    torch.manual_seed(0)
    model = MODELS.build(cfg)
    model.init_weights()
    return model.train()


def batch(parts=True, **counts):
    torch.manual_seed(1)
    samples = []
    for domain, count in counts.items():
        for _ in range(count):
            sample = PoseDataSample(metainfo=dict(domain=domain))
            labels = InstanceData()
            if domain != "target_unlabeled":
                labels.keypoint_labels = 2 * torch.rand(1, 16, 2) - 1
                labels.keypoint_weights = torch.ones(1, 16)
            if domain != "target_unlabeled" or parts:
                labels.part_labels = torch.randint(0, 2, (1, 16)).float()
                labels.part_weights = torch.ones(1, 16)
            sample.gt_instance_labels = labels
            samples.append(sample)
    return torch.randn(len(samples), 3, 64, 64), samples


# Losses by domain


def test_each_domain_has_the_losses_of_its_labels():
    model = build(target_loss_weight=0.5, part_loss_weight=0.25)
    images, samples = batch(source=2, target_labeled=2, target_unlabeled=3)
    losses = model.loss(images, samples)
    both = {"loss_part", "loss_kpt", "acc_part"}
    assert set(losses) == {
        *(f"source.{name}" for name in both),
        *(f"target_labeled.{name}" for name in both),
        *(f"target_unlabeled.{name}" for name in both - {"loss_kpt"}),
    }
    outputs = model.head(model.student.extract_feat(images))
    for domain, part, weight in (
        ("source", slice(0, 2), 1),
        ("target_labeled", slice(2, 4), 0.5),
        ("target_unlabeled", slice(4, 7), 0.25),
    ):
        model.head.forward = lambda feats, part=part: map_tensors(
            itemgetter(part), outputs
        )
        expected = model.head.loss(None, samples[part])
        for name in expected:
            factor = weight if "loss" in name else 1
            torch.testing.assert_close(
                losses[f"{domain}.{name}"], factor * expected[name]
            )


def test_a_target_without_labels_has_no_loss():
    model = build()
    losses = model.loss(*batch(parts=False, source=2, target_unlabeled=2))
    assert {name.split(".")[0] for name in losses} == {"source"}


def test_target_alone():
    model = build()
    losses = model.loss(*batch(target_unlabeled=3))
    losses["target_unlabeled.loss_part"].backward()
    missing = [n for n, p in model.named_parameters() if p.grad is None]
    # The last stage of the backbone is not used.
    assert all(name.startswith("backbone.layer4") for name in missing)


def test_other_heads_have_no_part_loss():
    from tiny_model import batch as heatmap_batch
    from tiny_model import build as build_heatmaps

    model = build_heatmaps()
    images, samples = heatmap_batch(source=2, target_unlabeled=2)
    for sample in samples[2:]:
        sample.gt_instance_labels = InstanceData(
            part_labels=torch.ones(1, 16), part_weights=torch.ones(1, 16)
        )
    losses = model.loss(images, samples)
    assert {name.split(".")[0] for name in losses} == {"source"}


def test_the_stock_estimator_trains_as_well():
    model = build(kind="TopdownPoseEstimator")
    images, samples = batch(source=2, target_unlabeled=2)
    losses = model.loss(images, samples)
    assert set(losses) == {"loss_part", "loss_kpt", "acc_part"}
    model.parse_losses(losses)[0].backward()
    assert model.backbone.conv1.weight.grad.abs().sum() > 0


def test_wrong_weight():
    with pytest.raises(ValueError, match="part_loss_weight must be a number >= 0"):
        build(part_loss_weight=-1)


# Adaptations


@pytest.fixture
def outputs() -> LocationOutputs:
    return head_outputs(MODELS.build(HEAD))


def logits_of(points):
    """An output of the head that shows points (B, K, 2) in input pixels."""
    cells = (points.double() + 0.5) / 4 - 0.5
    maps = gaussian_heatmaps(cells, (16, 16), 1.0).clamp(min=1e-30).log().float()
    return maps, torch.zeros(len(points), 3, points.shape[1]), []


def test_points_are_input_pixels(outputs):
    points = torch.rand(3, 16, 2) * 40 + 12
    output = logits_of(points)
    found, confidence = outputs.points(output)
    torch.testing.assert_close(found, points, rtol=0, atol=0.02)
    assert (confidence == 0.5).all()
    assert outputs.scale == (1, 1) and outputs.last(None) == (63, 63)
    assert outputs.gives == {"points", "maps"} and outputs.decoded == (1, 1)
    assert outputs.maps(output)["xy"] is output[0]


def test_a_perfect_student_has_no_pseudo_loss(outputs):
    points = torch.rand(3, 16, 2) * 40 + 12
    taught = torch.ones(3, 16)
    output = logits_of(points)
    loss = outputs.pseudo_loss(output, Pseudo(points, taught, taught), 2.0, None)
    assert abs(loss) < 1e-4
    moved = Pseudo(points + 6, taught, taught)
    assert outputs.pseudo_loss(output, moved, 2.0, None) > 0.1
    none = Pseudo(points + 6, taught, torch.zeros_like(taught))
    assert outputs.pseudo_loss(output, none, 2.0, None) == 0


ADAPTATIONS = dict(
    teacher=dict(
        type="MeanTeacher",
        student_view=dict(type="RandomView", rotation=30, flip_prob=0.5),
    ),
    entropy=dict(type="EntropyMinimization"),
    info_max=dict(type="InformationMaximization"),
    dan=dict(type="FeatureAlignment"),
    dann=dict(
        type="DomainAdversarial", discriminator=dict(type="GlobalDomainDiscriminator")
    ),
    cafa=dict(type="CAFA"),
)


@pytest.mark.parametrize("name", ADAPTATIONS)
def test_adaptations_compose(name):
    model = build({name: ADAPTATIONS[name]})
    if name == "teacher":
        EMATeacherHook().update(model)
    losses = model.loss(*batch(source=3, target_unlabeled=3))
    total, log = model.parse_losses(losses)
    assert all(torch.isfinite(value).all() for value in log.values())
    assert f"{name}.loss" in losses and "target_unlabeled.loss_part" in losses
    total.backward()
    assert model.backbone.conv1.weight.grad.abs().sum() > 0


def test_part_labels_follow_the_view_of_the_student():
    """Where the student sees a mirror image, left and right change places."""
    view = dict(type="RandomView", flip_prob=1.0)
    model = build(dict(teacher=dict(type="MeanTeacher", student_view=view)))
    EMATeacherHook().update(model)
    images, samples = batch(target_unlabeled=2)
    given = [sample.gt_instance_labels.part_labels.clone() for sample in samples]
    seen = []
    loss = model.head.loss

    def keep(feats, data_samples, **kwargs):
        seen.extend(s.gt_instance_labels.part_labels for s in data_samples)
        return loss(feats, data_samples, **kwargs)

    model.head.loss = keep
    model.loss(images, samples)
    order = list(model.metainfo["flip_indices"])
    for before, after, sample in zip(given, seen, samples, strict=True):
        assert torch.equal(after, before[:, order])
        assert not torch.equal(after, before)
        assert torch.equal(sample.gt_instance_labels.part_labels, before)


@pytest.mark.parametrize("name", ["IHTA", "ISA", "PartClassification"])
def test_adaptations_of_2d_heatmaps_say_so(name):
    with pytest.raises(ValueError, match=rf"mine: {name} reads 2D heatmaps .*Location"):
        build(dict(mine=dict(type=name)))
