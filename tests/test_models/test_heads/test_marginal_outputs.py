"""How adaptations read and teach a marginal heatmap head."""

import pytest
import torch
from mmpose.registry import MODELS
from tiny_domains_3d import CODEC, head_config
from tiny_model import model_config

from mmpose_da.engine import EMATeacherHook
from mmpose_da.models.heads import head_outputs
from mmpose_da.models.heads.head_outputs import MarginalOutputs
from mmpose_da.models.layers import (
    affine_matrices,
    marginal_gaussians,
    warp_points,
)
from mmpose_da.structures import Pseudo

SIZE = CODEC["heatmap_size"]


@pytest.fixture
def outputs() -> MarginalOutputs:
    return head_outputs(MODELS.build(head_config()))


def points_inside(count=3, margin=20.0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(1)
    plane = torch.rand(count, 17, 2, generator=generator) * (63 - 2 * margin) + margin
    depth = torch.rand(count, 17, 1, generator=generator) * 16 - 8
    return torch.cat([plane, depth], -1)


def logits_of(points: torch.Tensor) -> tuple:
    """An output of the head that shows the points (input pixels)."""
    half, center = torch.tensor([32.0, 32, 32]), torch.tensor([31.5, 31.5, 0])
    maps = marginal_gaussians((points.double() - center) / half, SIZE, 1.0)
    return tuple(plane.clamp(min=1e-30).log().float() for plane in maps.values())


def test_points_are_input_pixels(outputs):
    points = points_inside()
    found, confidence = outputs.points(logits_of(points))
    torch.testing.assert_close(found, points, rtol=0, atol=0.2)
    assert (confidence > 0.6).all() and (confidence <= 1).all()
    assert outputs.scale == (1, 1) and outputs.last(None) == (63, 63)
    assert outputs.dimensions == 3 and "heatmaps" not in outputs.gives
    assert list(outputs.maps(logits_of(points))) == ["xy", "xz", "yz"]


@pytest.mark.parametrize("stages", [1, 2])
def test_a_perfect_student_has_no_pseudo_loss(outputs, stages):
    points = points_inside()
    taught = torch.ones(points.shape[:2])
    pseudo = Pseudo(points, taught, taught)
    output = logits_of(points)
    output = output if stages == 1 else [output] * stages
    loss = outputs.pseudo_loss(output, pseudo, 2.0, None)
    assert 0 <= loss < 1e-4
    moved = Pseudo(points + torch.tensor([0.0, 0, 6]), taught, taught)
    assert outputs.pseudo_loss(output, moved, 2.0, None) > 0.1  # depth is taught too
    none = Pseudo(points + 6, taught, torch.zeros_like(taught))
    assert outputs.pseudo_loss(output, none, 2.0, None) == 0


def test_depth_outside_the_grid_has_the_weight_of_a_label(outputs):
    """Which is none: the image plane alone is taught, as by the codec."""
    generator = torch.Generator().manual_seed(2)
    points = points_inside()
    points[:, ::2, 2] += torch.tensor([40.0, -40, 0])[:, None]
    output = tuple(
        torch.randn(3, 17, 8, 8, generator=generator, requires_grad=True)
        for _ in range(3)
    )
    ones = torch.ones(points.shape[:2])
    found = outputs.pseudo_loss(output, Pseudo(points, ones, ones), 2.0, None)
    encoded = outputs.head.decoder.encode(points.numpy())
    assert (encoded["depth_weights"] == 0).sum() == 18
    targets = marginal_gaussians(torch.from_numpy(encoded["keypoint_labels"]), SIZE, 1)
    weights = (torch.from_numpy(encoded[f"{k}_weights"]) for k in ("keypoint", "depth"))
    planes = dict(zip(("xy", "xz", "yz"), output, strict=True))
    expected = outputs.head.loss_module(planes, targets, *weights)
    torch.testing.assert_close(found, expected)


def test_depth_takes_part_in_the_scale_alone():
    points = points_inside(2)
    matrices = affine_matrices(
        (64, 64),
        torch.tensor([30.0, -70.0]),
        torch.tensor([0.5, 2.0]),
        torch.zeros(2),
        torch.tensor([[3.0, -4.0], [0.0, 9.0]]),
        torch.tensor([True, False]),
    )
    moved = warp_points(points, matrices)
    torch.testing.assert_close(moved[..., :2], warp_points(points[..., :2], matrices))
    factor = torch.tensor([0.5, 2.0])[:, None]
    torch.testing.assert_close(moved[..., 2], points[..., 2] * factor)


def build(adaptations: dict):
    cfg = model_config(type="DomainAdaptiveTopdown")
    cfg.update(head=head_config(), joints="Human36mDataset", adaptations=adaptations)
    model = MODELS.build(cfg)
    model.init_weights()
    return model.train()


def batch(**counts: int):
    from mmengine.structures import InstanceData
    from mmpose.structures import PoseDataSample

    samples = []
    for domain, count in counts.items():
        for _ in range(count):
            sample = PoseDataSample(metainfo=dict(domain=domain))
            if domain != "target_unlabeled":
                sample.gt_instance_labels = InstanceData(
                    keypoint_labels=torch.rand(1, 17, 3) - 0.5,
                    keypoint_weights=torch.ones(1, 17),
                    depth_weights=torch.ones(1, 17),
                )
            samples.append(sample)
    return torch.randn(len(samples), 3, 64, 64), samples


ADAPTATIONS = dict(
    teacher=dict(
        type="MeanTeacher",
        student_view=dict(
            type="RandomView", rotation=30, scale=(0.8, 1.2), flip_prob=0.5
        ),
        occlusion=dict(prob=0.5),
    ),
    entropy=dict(type="EntropyMinimization"),
    info_max=dict(type="InformationMaximization"),
    dan=dict(type="FeatureAlignment"),
    dann=dict(
        type="DomainAdversarial", discriminator=dict(type="GlobalDomainDiscriminator")
    ),
    dfa=dict(type="DomainFeatureAlignment"),
    cafa=dict(type="CAFA"),
    style=dict(type="StyleTransfer", style=dict(type="ColorStatisticsStyle")),
)


@pytest.mark.parametrize("name", ADAPTATIONS)
def test_adaptations_of_2d_compose(name):
    model = build({name: ADAPTATIONS[name]})
    if name == "teacher":
        EMATeacherHook().update(model)
    losses = model.loss(*batch(source=3, target_unlabeled=3))
    total = sum(value for key, value in losses.items() if "loss" in key)
    total.backward()
    assert total.isfinite()
    assert model.backbone.conv1.weight.grad.abs().sum() > 0
    terms = [key for key in losses if key.startswith(f"{name}.") and "loss" in key]
    assert bool(terms) == (name not in ("dfa", "style"))


def test_entropy_is_summed_over_the_planes():
    model = build(dict(entropy=ADAPTATIONS["entropy"]))
    adaptation = model.adaptations["entropy"]
    seen = []
    adaptation.loss_module.register_forward_hook(
        lambda module, inputs, output: seen.append(output)
    )
    losses = model.loss(*batch(source=2, target_unlabeled=2))
    assert len(seen) == 3
    torch.testing.assert_close(losses["entropy.loss"], sum(seen))


def test_warped_pseudo_heatmaps_are_for_2d():
    teacher = dict(ADAPTATIONS["teacher"], pseudo_heatmaps="warped")
    with pytest.raises(ValueError, match="reads 2D heatmaps .*MarginalHeatmapHead"):
        build(dict(teacher=teacher))


@pytest.mark.parametrize("name", ["IHTA", "ISA"])
def test_adaptations_of_2d_heatmaps_say_so(name):
    with pytest.raises(ValueError, match=rf"mine: {name} reads 2D heatmaps .*Marginal"):
        build(dict(mine=dict(type=name)))
