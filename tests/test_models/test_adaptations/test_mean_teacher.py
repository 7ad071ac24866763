import math

import pytest
import torch
from mmpose.registry import MODELS
from tiny_model import batch as tiny_batch
from tiny_model import build, model_config
from torch import nn

from mmpose_da.engine import EMATeacherHook
from mmpose_da.models.adaptations import MeanTeacher
from mmpose_da.models.adaptations.mean_teacher import _is_inside
from mmpose_da.models.layers import (
    RandomView,
    gaussian_heatmaps,
    heatmap_peaks,
    warp_points,
)
from mmpose_da.structures import TARGET_UNLABELED, DomainBatch

VIEW = dict(type="RandomView", rotation=30, scale=(0.9, 1.2), flip_prob=0.5)
UDA = dict(source=2, target_unlabeled=3)


def make_model(**kwargs):
    torch.manual_seed(0)
    teacher = dict(dict(type="MeanTeacher", student_view=VIEW), **kwargs)
    model = build(joints="MpiiDataset", adaptations=dict(mt=teacher))
    EMATeacherHook().update(model)  # as at the start of a run
    return model, model.adaptations["mt"]


class Spots(nn.Module):
    """A teacher that sees a joint where a color channel is brightest.

    The three channels are the joints `first`, `first + 1`, and so on; all others are
    nowhere.
    """

    def __init__(self, first, height=1.0):
        super().__init__()
        self.first, self.height = first, height

    def forward(self, images):
        heatmaps = images.new_zeros(len(images), 16, 16, 16)
        small = images[..., ::4, ::4]
        heatmaps[:, self.first : self.first + 3] = self.height * small
        return heatmaps


def spotted(adaptation, teacher, *points):
    """The estimator's teacher replaced; a batch with crops that have colored spots."""
    adaptation.average.module = teacher
    crops = gaussian_heatmaps(torch.stack(points), (64, 64), sigma=4)
    adaptation.pixels.mean.zero_()
    adaptation.pixels.std.fill_(255.0)  # preprocessed images are RGB in [0, 1]
    images, samples = tiny_batch(source=2, target_unlabeled=len(points))
    images[2:] = crops
    return DomainBatch(samples, images)


def pseudo_heatmaps_of(teacher, batch):
    """What the student's heatmaps (u, 16, 16, 16) are compared with."""
    pseudo = batch.pseudo
    if pseudo.heatmaps is not None:
        return pseudo.heatmaps
    return gaussian_heatmaps(pseudo.points, (16, 16), teacher.sigma)


# The average


@pytest.mark.parametrize("statistics", ["own", "average", "student"])
@pytest.mark.parametrize("gamma", [1, 5])
def test_teacher_is_the_average_by_hand_bit_by_bit(statistics, gamma):
    model, teacher = make_model(momentum=0.9, gamma=gamma, statistics=statistics)
    expected = {k: v.clone() for k, v in teacher.teacher.state_dict().items()}
    buffers = {name for name, _ in teacher.teacher.named_buffers()}
    optimizer = torch.optim.Adam(model.parameters(), 1e-2)
    hook = EMATeacherHook()
    for step in range(1, 13):
        losses, _ = model.parse_losses(model.loss(*tiny_batch(**UDA)))
        optimizer.zero_grad()
        losses.backward()
        optimizer.step()
        hook.update(model)
        share = max(1 - 0.9, gamma / (gamma + step))
        for name, student in model.state_dict().items():
            if name not in expected:
                continue
            if name in buffers and statistics == "own":
                expected[name] = teacher.teacher.state_dict()[name].clone()
            elif name in buffers and statistics == "student":
                expected[name] = student.clone()
            elif student.is_floating_point():
                expected[name].lerp_(student, share)
    assert buffers and expected.keys() == teacher.teacher.state_dict().keys()
    for name, value in teacher.teacher.state_dict().items():
        assert torch.equal(value, expected[name]), name
    moved = torch.stack(
        [
            (model.state_dict()[name] - value).abs().max()
            for name, value in expected.items()
            if value.is_floating_point()
        ]
    )
    assert moved.max() > 1e-3


def test_without_a_warm_up_the_decay_is_constant():
    model, teacher = make_model(momentum=0.9, gamma=0)
    bias = model.head.final_layer.bias
    expected = bias.detach().clone()
    for _ in range(5):
        with torch.no_grad():
            bias.add_(1.0)
        EMATeacherHook().update(model)
        expected.lerp_(bias.detach(), 0.1)
    torch.testing.assert_close(teacher.teacher.head.final_layer.bias, expected)


def test_own_statistics_are_those_of_the_images_that_the_teacher_sees():
    model, teacher = make_model(student_view=None)
    norm, images = teacher.teacher.backbone.bn1, []
    teacher.teacher.register_forward_pre_hook(lambda module, args: images.append(*args))
    running = norm.running_mean.clone()
    _, samples = tiny_batch(**UDA)
    inputs = teacher.pixels.from_rgb(torch.rand(5, 3, 64, 64))
    model.loss(inputs, samples)
    torch.testing.assert_close(images[0], inputs[2:], atol=1e-4, rtol=1e-4)
    seen = teacher.teacher.backbone.conv1(images[0]).mean(dim=(0, 2, 3))
    torch.testing.assert_close(norm.running_mean, 0.9 * running + 0.1 * seen)
    assert not model.eval().adaptations["mt"].teacher.backbone.bn1.training


def test_average_follows_a_model_that_was_converted():
    model, teacher = make_model(momentum=0.5)
    model.double()  # as a move to another device does, this replaces all tensors
    with torch.no_grad():
        for parameter in model.head.parameters():
            parameter.add_(1.0)
    before = teacher.teacher.head.final_layer.bias.clone()
    EMATeacherHook().update(model)
    torch.testing.assert_close(teacher.teacher.head.final_layer.bias, before + 0.5)


def test_teacher_does_not_learn_and_is_not_changed_by_the_student():
    model, teacher = make_model()
    total, _ = model.parse_losses(model.loss(*tiny_batch(**UDA)))
    before = {k: v.clone() for k, v in teacher.teacher.state_dict().items()}
    total.backward()
    with torch.no_grad():
        for parameter in model.backbone.parameters():
            parameter.zero_()
    assert not any(p.requires_grad for p in teacher.average.parameters())
    for name, value in teacher.teacher.named_parameters():
        assert torch.equal(value, before[name])


# Pseudo heatmaps


@pytest.mark.parametrize("pseudo_heatmaps", ["gaussian", "warped"])
def test_pseudo_heatmaps_are_where_the_student_sees_the_joints(pseudo_heatmaps):
    views = dict(student_view=VIEW, teacher_view=dict(VIEW, rotation=20))
    model, teacher = make_model(pseudo_heatmaps=pseudo_heatmaps, sigma=1.0, **views)
    points = 20 + 24 * torch.rand(6, 3, 2)
    batch = spotted(teacher, Spots(first=0), *points)
    teacher.prepare(batch)
    # The joints 0, 1, 2 are the right leg's, and 5, 4, 3 the left's.
    shown, _ = heatmap_peaks(batch.images[2:])
    taught, _ = heatmap_peaks(pseudo_heatmaps_of(teacher, batch))
    right = torch.isclose(taught[:, :3], shown / 4, atol=0.4).all(dim=2)
    left = torch.isclose(taught[:, [5, 4, 3]], shown / 4, atol=0.4).all(dim=2)
    assert (right.all(dim=1) ^ left.all(dim=1)).all()
    assert right.any() and left.any()
    side = torch.where(
        right.all(dim=1, keepdim=True), torch.tensor([0, 1, 2]), torch.tensor([5, 4, 3])
    )
    at = torch.arange(6)[:, None]
    if pseudo_heatmaps == "gaussian":
        expected = gaussian_heatmaps(taught[at, side], (16, 16), sigma=1.0)
        torch.testing.assert_close(
            pseudo_heatmaps_of(teacher, batch)[at, side], expected, atol=0.05, rtol=0
        )
    else:
        assert (batch.pseudo.heatmaps[:, 6:] == 0).all()


def test_matrices_between_grids_follow_the_codec():
    model, teacher = make_model()
    matrix = torch.tensor([[[0.9, -0.4, 12.0], [0.3, 1.1, -6.0], [0, 0, 1]]])
    points = torch.rand(1, 4, 2) * 16
    ours = warp_points(points, teacher._between_grids(matrix))
    scale = torch.as_tensor(model.head.decoder.scale_factor)
    torch.testing.assert_close(ours, warp_points(points * scale, matrix) / scale)


def test_threshold_decides_joint_by_joint():
    model, teacher = make_model(threshold=0.6, student_view=None)
    middle = torch.full((3, 2), 32.0)
    batch = spotted(teacher, Spots(first=6, height=0.5), middle, middle)
    teacher.prepare(batch)
    assert batch.pseudo.weights.sum() == 0
    teacher.average.module.height = 0.7
    teacher.prepare(batch)
    assert batch.pseudo.weights.nonzero()[:, 1].tolist() == [6, 7, 8] * 2


def test_joints_that_are_taught_are_hidden_where_the_student_sees_them():
    _, teacher = make_model(threshold=0.6, student_view=None, occlusion=dict(prob=0.5))
    given = {}

    def occlusion(images, points, candidates):
        given.update(points=points, candidates=candidates)
        return images

    occlusion.threshold = None
    teacher.occlusion = occlusion
    place = torch.tensor([[20.0, 36.0]]).expand(3, 2)
    batch = spotted(teacher, Spots(first=6), place, place)
    teacher.prepare(batch)
    assert torch.equal(given["candidates"], batch.pseudo.weights > 0)
    assert given["candidates"].sum(1).tolist() == [3, 3]
    found = given["points"][:, 6:9]  # in pixels of the image
    torch.testing.assert_close(found, place.expand(2, 3, 2), atol=0.5, rtol=0)


def test_only_joints_of_which_the_teacher_is_sure_are_hidden():
    _, teacher = make_model(
        student_view=None, occlusion=dict(prob=0.5, per="image", threshold=0.9)
    )
    given = []
    teacher.occlusion.__class__ = type(
        "Watched",
        (type(teacher.occlusion),),
        dict(__call__=lambda self, images, _, sure: given.append(sure) or images),
    )
    place = torch.tensor([[20.0, 36.0]]).expand(3, 2)
    for height, count in ((0.85, 0), (0.95, 3)):
        batch = spotted(teacher, Spots(first=6, height=height), place)
        teacher.prepare(batch)
        assert given.pop().sum() == count
        assert batch.pseudo.weights.sum() > 3  # more are taught


def test_share_takes_the_surest_images_of_each_joint():
    model, teacher = make_model(share=0.5)
    # The second joint is found less surely than the first one in every image.
    confidence = torch.tensor([[0.9, 0.01], [0.5, 0.08], [0.6, 0.07], [0.8, 0.02]])
    expected = [[1, 0], [0, 1], [0, 1], [1, 0]]
    assert teacher._is_sure(confidence).int().tolist() == expected


def test_share_of_all_joints_takes_the_surest_whatever_the_joint():
    model, teacher = make_model(share=0.5, share_of="all")
    confidence = torch.tensor([[0.9, 0.01], [0.5, 0.08], [0.6, 0.07], [0.8, 0.02]])
    expected = [[1, 0]] * 4
    assert teacher._is_sure(confidence).int().tolist() == expected
    # As the quantile of Kim et al.: more than the k-th smallest, k = int(share n).
    torch.manual_seed(0)
    confidence = torch.rand(5, 3)
    smallest = confidence.flatten().kthvalue(int(0.5 * 15)).values
    assert torch.equal(teacher._is_sure(confidence), confidence > smallest)


def test_several_views_of_the_teacher_are_averaged_in_the_crop():
    torch.manual_seed(0)
    strong = dict(type="RandomView", rotation=40, translation=0.1, flip_prob=0.5)
    model, teacher = make_model(
        student_view=None, teacher_view=strong, teacher_views=5, threshold=0.3
    )
    points = 24 + 16 * torch.rand(4, 3, 2)
    seen = []

    class Watched(Spots):
        def forward(self, images):
            seen.append(images)
            return super().forward(images)

    batch = spotted(teacher, Watched(first=6), *points)
    teacher.prepare(batch)
    assert len(seen) == 5
    assert not any(torch.equal(seen[0], other) for other in seen[1:])
    # The joints 6 to 8 have no counterparts of another side.
    torch.testing.assert_close(
        batch.pseudo.points[:, 6:9], points / 4, atol=0.4, rtol=0
    )
    assert batch.pseudo.weights[:, 6:9].all()


def test_averaged_views_swap_the_joints_of_mirrored_ones():
    mirror = dict(type="RandomView", flip_prob=1.0)
    model, teacher = make_model(
        student_view=None, teacher_view=mirror, teacher_views=2, threshold=0.5
    )
    points = torch.tensor([[20.0, 30.0], [30.0, 40.0], [44.0, 20.0]])
    batch = spotted(teacher, Spots(first=0), points)
    teacher.prepare(batch)
    # What a mirrored image shows as the right leg, 0 to 2, is the left one, 5 to 3.
    found = batch.pseudo.points[0, [5, 4, 3]]
    torch.testing.assert_close(found, points / 4, atol=0.4, rtol=0)
    assert batch.pseudo.weights[0].nonzero().flatten().tolist() == [3, 4, 5]


def test_share_of_a_few_images_is_rounded_up():
    model, teacher = make_model(share=0.5)
    confidence = torch.tensor([[0.9], [0.2], [0.3]])
    assert teacher._is_sure(confidence).flatten().tolist() == [True, False, True]


def test_confidence_goes_with_the_joint_into_a_mirrored_view():
    mirror = dict(type="RandomView", flip_prob=1.0)
    model, teacher = make_model(student_view=mirror, threshold=0.5)
    middle = torch.full((3, 2), 32.0)
    batch = spotted(teacher, Spots(first=0), middle)
    teacher.prepare(batch)
    # The right leg, 0 to 2, is sure; in the mirror it is the left one, 3 to 5.
    assert batch.pseudo.weights[0].nonzero().flatten().tolist() == [3, 4, 5]


def test_inside_means_inside_of_a_map_that_is_not_square():
    points = torch.tensor([[[10.0, 20.0], [20.0, 10.0], [15.0, 31.0], [15.5, 3.0]]])
    assert _is_inside(points, (15, 31)).tolist() == [[True, False, True, False]]


def test_joints_that_leave_the_student_s_view_are_not_taught():
    model, teacher = make_model(
        student_view=dict(type="RandomView", scale=(3.0, 3.0)), threshold=0.1
    )
    points = torch.tensor([[32.0, 32.0], [4.0, 32.0], [34.0, 60.0]])
    batch = spotted(teacher, Spots(first=7), points)
    teacher.prepare(batch)
    assert batch.pseudo.weights[0].nonzero().flatten().tolist() == [7]


def test_teacher_sees_the_images_made_for_it():
    model, teacher = make_model(student_view=None)
    here, there = torch.full((3, 2), 20.0), torch.full((3, 2), 44.0)
    batch = spotted(teacher, Spots(first=6), here)
    batch.teacher_images = gaussian_heatmaps(there[None], (64, 64), sigma=4)
    before = batch.images.clone()
    teacher.prepare(batch)
    taught, _ = heatmap_peaks(pseudo_heatmaps_of(teacher, batch))
    torch.testing.assert_close(taught[0, 6:9], there / 4)
    torch.testing.assert_close(batch.images, before)


def test_source_is_left_as_it_is():
    model, teacher = make_model()
    images, samples = tiny_batch(**UDA)
    batch = DomainBatch(samples, images.clone())
    teacher.prepare(batch)
    assert torch.equal(batch.images[:2], images[:2])
    assert not torch.equal(batch.images[2:], images[2:])


# Losses


@pytest.mark.parametrize("counts", [UDA, dict(target_unlabeled=3)])
def test_terms_with_and_without_a_source(counts):
    model, _ = make_model(occlusion=dict(prob=0.5), share=0.7)
    losses = model.loss(*tiny_batch(**counts))
    assert losses["mt.loss"] > 0 and 0 < losses["mt.share"] <= 1
    total, log = model.parse_losses(losses)
    total.backward()
    assert all(math.isfinite(value) for value in log.values())
    grads = [p.grad for p in model.parameters() if p.requires_grad]
    assert all(grad is not None and torch.isfinite(grad).all() for grad in grads)


def test_terms_are_finite_in_half_precision():
    model, _ = make_model(occlusion=dict(prob=0.5))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        losses = model.loss(*tiny_batch(**UDA))
    assert losses["mt.loss"].dtype == torch.float32
    assert all(torch.isfinite(value).all() for value in losses.values())


# Errors and prediction


@pytest.mark.parametrize(
    "kwargs, message",
    [
        (dict(momentum=1.0), "momentum"),
        (dict(share=0), "share"),
        (dict(share_of="image"), "share_of='image'"),
        (dict(teacher_views=0), "teacher_views"),
        (dict(gamma=-1), "gamma"),
        (dict(occlusion=dict(per="limb")), "per='limb'"),
        (dict(statistics="none"), "statistics"),
        (dict(pseudo_heatmaps="sharp"), "sharp"),
        (dict(occlusion=dict(prob=2)), "prob"),
        (dict(occlusion=dict(size=(0, 1))), "size"),
    ],
)
def test_impossible_teachers(kwargs, message):
    with pytest.raises(ValueError, match=message):
        make_model(**kwargs)


def test_teacher_without_its_hook_or_a_skeleton():
    model = build(joints="MpiiDataset", adaptations=dict(mt=dict(type="MeanTeacher")))
    with pytest.raises(RuntimeError, match="EMATeacherHook"):
        model.loss(*tiny_batch(**UDA))
    with pytest.raises(ValueError, match="`joints`"):
        MeanTeacher()


def test_teacher_predicts_where_the_config_says_so():
    model, teacher = make_model()
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.mul_(1.1)
    config = model_config(
        type="DomainAdaptiveTopdown",
        joints="MpiiDataset",
        adaptations=dict(mt=dict(type="MeanTeacher")),
    )
    config["test_cfg"]["network"] = "teacher"
    deployed = MODELS.build(config).eval()
    deployed.load_state_dict(model.state_dict())
    images, _ = tiny_batch(source=2)
    with torch.no_grad():
        of_student = model.eval()(images, None)
        of_teacher = deployed(images, None)
        expected = teacher.teacher(images)
    assert torch.equal(of_teacher, expected)
    assert not torch.allclose(of_teacher, of_student)
    # It only concerns prediction.
    assert deployed.backbone is not deployed.adaptations["mt"].teacher.backbone


def test_views_are_built_from_the_config():
    _, teacher = make_model(teacher_view=dict(type="RandomView", noise=0.1))
    assert isinstance(teacher.teacher_view, RandomView)
    assert teacher.teacher_view.noise == 0.1
    assert teacher.needs == (TARGET_UNLABELED,)
