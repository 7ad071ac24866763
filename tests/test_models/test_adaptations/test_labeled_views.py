import pytest
import torch
from mmpose.registry import MODELS
from tiny_model import batch as tiny_batch
from tiny_model import build, model_config

from mmpose_da.models.layers import gaussian_heatmaps, heatmap_peaks
from mmpose_da.structures import DomainBatch

STRONG = dict(type="RandomView", rotation=40, scale=(0.8, 1.2), shear=20, flip_prob=0.5)
COLORS = dict(type="RandomView", brightness=0.3, blur=(0.5, 1))
COUNTS = dict(source=5, target_labeled=2, target_unlabeled=3)
CODECS = dict(
    msra=dict(type="MSRAHeatmap", input_size=(64, 64), heatmap_size=(16, 16), sigma=2),
    udp=dict(type="UDPHeatmap", input_size=(64, 64), heatmap_size=(16, 16), sigma=2),
)


def make_model(view, codec="udp", **kwargs):
    torch.manual_seed(0)
    model = build(
        joints="MpiiDataset",
        head=dict(decoder=CODECS[codec]) | kwargs,
        adaptations=dict(views=dict(type="LabeledViews", view=view)),
    )
    adaptation = model.adaptations["views"]
    adaptation.pixels.mean.zero_()
    adaptation.pixels.std.fill_(255.0)  # preprocessed images are RGB in [0, 1]
    return model, adaptation


def spotted(model, points):
    """Crops that show joints 0, 1, 2 as colored spots, with labels of these places.

    Args:
        points: (7, 3, 2) in pixels of the crops.
    """
    images, samples = tiny_batch(**COUNTS)
    images[:7] = gaussian_heatmaps(points, (64, 64), sigma=4)
    scale = torch.as_tensor(model.head.decoder.scale_factor)
    maps = gaussian_heatmaps(points / scale, (16, 16), sigma=2.0)
    for sample, labels in zip(samples[:7], maps, strict=True):
        sample.gt_fields.heatmaps = torch.zeros(16, 16, 16)
        sample.gt_fields.heatmaps[:3] = labels
        weights = torch.zeros(1, 16)
        weights[:, :3] = torch.tensor([1.0, 0.5, 2.0])
        sample.gt_instance_labels.keypoint_weights = weights
    return DomainBatch(samples, images)


@pytest.mark.parametrize("codec", CODECS)
def test_labels_are_where_the_joints_are_seen(codec):
    model, adaptation = make_model(STRONG, codec)
    points = 22 + 20 * torch.rand(7, 3, 2)
    batch = spotted(model, points)
    given = list(batch.data_samples)
    before = [s.gt_fields.heatmaps.clone() for s in given[:7]]
    images = batch.images.clone()
    adaptation.prepare(batch)
    assert torch.equal(batch.images[7:], images[7:])
    assert batch.data_samples[7:] == given[7:]
    scale = torch.as_tensor(model.head.decoder.scale_factor)
    shown, _ = heatmap_peaks(batch.images[:7])
    maps = torch.stack([s.gt_fields.heatmaps for s in batch.data_samples[:7]])
    weights = torch.cat(
        [s.gt_instance_labels.keypoint_weights for s in batch.data_samples[:7]]
    )
    sides = []
    for image in range(7):
        mirrored = weights[image, 0] == 0
        # The joints 0, 1, 2 are the right leg's, and 5, 4, 3 the left's.
        joints = [5, 4, 3] if mirrored else [0, 1, 2]
        sides.append(bool(mirrored))
        expected = torch.zeros(16)
        expected[joints] = torch.tensor([1.0, 0.5, 2.0])
        assert torch.equal(weights[image], expected)
        drawn = gaussian_heatmaps(shown[image][None] / scale, (16, 16), 2.0)[0]
        torch.testing.assert_close(maps[image, joints], drawn, atol=0.05, rtol=0)
        others = [k for k in range(16) if k not in joints]
        assert not maps[image, others].any()
    assert set(sides) == {True, False}
    # The samples of the loader stay as they are.
    for sample, heatmaps in zip(given, before, strict=False):
        assert torch.equal(sample.gt_fields.heatmaps, heatmaps)


def test_joints_that_leave_the_view_or_were_outside_have_no_weight():
    model, adaptation = make_model(dict(type="RandomView", scale=(2.0, 2.0)))
    points = torch.tensor([[32.0, 32.0], [6.0, 32.0], [32.0, 70.0]])
    batch = spotted(model, points.expand(7, 3, 2))
    assert batch.data_samples[0].gt_fields.heatmaps[2].max() > 0.1  # its tail
    adaptation.prepare(batch)
    for sample in batch.data_samples[:7]:
        weights = sample.gt_instance_labels.keypoint_weights
        assert weights[0].nonzero().flatten().tolist() == [0]
        assert sample.gt_fields.heatmaps.amax(dim=(1, 2)).nonzero().tolist() == [[0]]


def test_colors_alone_leave_labels_as_they_are():
    model, adaptation = make_model(COLORS)
    batch = spotted(model, 22 + 20 * torch.rand(7, 3, 2))
    given, images = list(batch.data_samples), batch.images.clone()
    adaptation.prepare(batch)
    assert batch.data_samples == given
    changed = (batch.images != images).flatten(1).any(dim=1)
    assert changed.tolist() == [True] * 7 + [False] * 3


def test_trains_beside_a_teacher_and_without_a_target():
    torch.manual_seed(0)
    adaptations = dict(views=dict(type="LabeledViews", view=STRONG | COLORS))
    model = build(joints="MpiiDataset", adaptations=adaptations)
    for counts in (COUNTS, dict(source=3)):
        losses = model.loss(*tiny_batch(**counts))
        total, _ = model.parse_losses(losses)
        total.backward()
        assert total.isfinite() and "views.loss" not in losses
    with pytest.raises(ValueError, match="LabeledViews needs images of"):
        model.loss(*tiny_batch(target_unlabeled=3))


def test_other_labels_cannot_be_moved_but_their_images_can_change_colors():
    regression = dict(
        type="RegressionHead",
        in_channels=64,
        num_joints=16,
        decoder=dict(type="RegressionLabel", input_size=(64, 64)),
    )

    def make(view):
        cfg = model_config(
            type="DomainAdaptiveTopdown",
            joints="MpiiDataset",
            neck=dict(type="GlobalAveragePooling"),
            adaptations=dict(views=dict(type="LabeledViews", view=view)),
        )
        return MODELS.build(dict(cfg, head=regression))

    assert make(COLORS)
    with pytest.raises(ValueError, match="RegressionHead with the codec Regression"):
        make(STRONG)
    combined = dict(CODECS["udp"], heatmap_type="combined")
    with pytest.raises(ValueError, match="must be Gaussian heatmaps"):
        make_model(STRONG, decoder=combined)


@pytest.mark.parametrize("name", ["weight", "rampup"])
def test_has_no_loss(name):
    with pytest.raises(ValueError, match=f"no {name}"):
        MODELS.build(dict(type="LabeledViews", view=COLORS, **{name: 1.0}))
    with pytest.raises(ValueError, match="`joints`"):
        build(adaptations=dict(views=dict(type="LabeledViews", view=STRONG)))
