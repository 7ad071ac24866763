from types import SimpleNamespace

import pytest
import tiny_model
import torch
from mmengine.logging import MessageHub
from mmpose.registry import MODELS

from mmpose_da.models.adaptations import StyleTransfer
from mmpose_da.models.layers import Pixels
from mmpose_da.models.styles import Style
from mmpose_da.structures import DomainBatch

PREPROCESSOR = MODELS.build(tiny_model.model_config()["data_preprocessor"])
COLORS = dict(type="ColorStatisticsStyle")


class Swap(Style):
    """The result is the style. Records its arguments."""

    def __init__(self):
        super().__init__()
        self.calls, self.loads = [], 0

    def load(self):
        self.loads += 1

    def transfer(self, content, style, strength):
        self.calls.append((content, style, strength.flatten()))
        return style


@pytest.fixture
def make(monkeypatch):
    monkeypatch.setitem(MODELS.module_dict, "Swap", Swap)

    def build(style="Swap", **kwargs) -> StyleTransfer:
        cfg = dict(type="StyleTransfer", style=dict(type=style), **kwargs)
        adaptation = MODELS.build(cfg)
        adaptation.bind(SimpleNamespace(data_preprocessor=PREPROCESSOR))
        return adaptation

    return build


def make_batch(**counts) -> DomainBatch:
    """Preprocessed images of one color each, all different."""
    _, samples = tiny_model.batch(**counts)
    levels = torch.linspace(0.1, 0.9, len(samples))[:, None, None, None]
    colors = Pixels(PREPROCESSOR).from_rgb(levels.expand(-1, 3, 16, 16))
    return DomainBatch(samples, colors)


def which(images, candidates) -> list[int]:
    """The index of each image among the candidates; they must be there."""
    distance = (images[:, None] - candidates).abs().flatten(2).amax(2)
    assert (distance.amin(1) < 1e-4).all()
    return distance.argmin(1).tolist()


def prepared(adaptation, seed=0, **counts):
    batch = make_batch(**counts)
    before = batch.images.clone()
    torch.manual_seed(seed)
    adaptation.check(batch)
    adaptation.prepare(batch)
    return batch, before


def test_all_source_images_get_the_style_of_some_target_image(make):
    counts = dict(source=40, target_labeled=2, target_unlabeled=2)
    batch, before = prepared(make(share=1.0), **counts)
    assert set(which(batch.images[:40], before)) == {40, 41, 42, 43}
    assert torch.equal(batch.images[40:], before[40:])
    assert batch.teacher_images is None


def test_partners_are_drawn_anew(make):
    counts = dict(source=20, target_unlabeled=5)
    partners = []
    for seed in (0, 1):
        batch, before = prepared(make(share=1.0), seed, **counts)
        partners.append(which(batch.images[:20], before))
    assert partners[0] != partners[1]


def test_share_zero_changes_nothing_and_runs_nothing(make):
    adaptation = make(share=0.0)
    batch, before = prepared(adaptation, source=3, target_unlabeled=2)
    assert torch.equal(batch.images, before)
    assert adaptation.style.calls == []
    assert adaptation.style.loads == 1  # even so: all processes load at once
    assert adaptation(batch) == dict(source_share=0)


def test_each_image_is_chosen_by_itself_and_only_those_are_run(make):
    adaptation = make(share=0.3)
    batch, before = prepared(adaptation, source=200, target_unlabeled=1)
    changed = (batch.images != before).flatten(1).any(1)
    count = int(changed.sum())
    assert not changed[200:].any() and 0.2 < count / 200 < 0.4
    ((content, style, strength),) = adaptation.style.calls
    assert content.shape == style.shape == (count, 3, 16, 16)
    pixels = Pixels(PREPROCESSOR)
    torch.testing.assert_close(pixels.from_rgb(content), before[:200][changed[:200]])
    assert len(strength) == count
    torch.testing.assert_close(
        adaptation(batch)["source_share"], torch.tensor(count / 200)
    )


def test_strength_is_uniform_in_its_range(make):
    adaptation = make(share=1.0, strength=(0.25, 0.75))
    prepared(adaptation, source=400, target_unlabeled=1)
    ((_, _, strength),) = adaptation.style.calls
    assert 0.25 <= strength.min() < 0.27 and 0.73 < strength.max() <= 0.75
    assert abs(strength.mean() - 0.5) < 0.03


def test_the_teacher_sees_the_source_as_it_was(make):
    counts = dict(source=2, target_labeled=1, target_unlabeled=30)
    adaptation = make(share=1.0, teacher_share=0.5)
    batch, before = prepared(adaptation, **counts)
    assert torch.equal(batch.images[2:], before[2:])  # what the student sees
    shown = batch.teacher_images
    assert shown.shape == (30, 3, 16, 16)
    origin = which(shown, before)
    same = [index == i + 3 for i, index in enumerate(origin)]
    styled = [index for index, is_same in zip(origin, same, strict=True) if not is_same]
    assert set(styled) == {0, 1} and 5 < len(styled) < 25
    share = torch.tensor(len(styled) / 30)
    torch.testing.assert_close(adaptation(batch)["teacher_share"], share)


def test_images_made_for_the_teacher_before_are_kept(make):
    batch = make_batch(source=1, target_unlabeled=3)
    batch.teacher_images = made = batch.images[1:].flip(0)
    adaptation = make(share=0.0, teacher_share=1e-9)
    adaptation.prepare(batch)
    assert torch.equal(batch.teacher_images, made)


@pytest.mark.parametrize("order", [("style", "teacher"), ("teacher", "style")])
@pytest.mark.parametrize("teacher_share", [0.0, 1.0])
def test_styles_are_those_of_the_crops_whatever_the_order_of_keys(
    make, order, teacher_share
):
    """Not of the student's distorted views of them, which the teacher makes."""
    configs = dict(
        style=dict(
            type="StyleTransfer",
            style=dict(type="Swap"),
            share=1.0,
            teacher_share=teacher_share,
        ),
        teacher=dict(
            type="MeanTeacher", student_view=dict(type="RandomView", brightness=0.9)
        ),
    )
    adaptations = {name: configs[name] for name in order}
    model = tiny_model.build(adaptations=adaptations, joints="MpiiDataset")
    model.adaptations["teacher"].update(model)
    images, samples = tiny_model.batch(source=4, target_unlabeled=2)
    model.loss(images, samples)
    pixels = Pixels(model.data_preprocessor)
    content, styles, _ = model.adaptations["style"].style.calls[0]
    torch.testing.assert_close(content, pixels.to_rgb(images[:4]))
    assert len(which(pixels.from_rgb(styles), images[4:])) == 4


def test_rampup_raises_both_shares(make):
    adaptation = make(share=0.8, teacher_share=0.4, rampup=dict(begin=0, end=10))
    for iteration, factor in ((0, 0.0), (5, 0.5), (20, 1.0)):
        MessageHub.get_current_instance().update_info("iter", iteration)
        batch, _ = prepared(adaptation, source=500, target_unlabeled=500)
        terms = adaptation(batch)
        assert abs(terms["source_share"] - 0.8 * factor) < 0.05
        assert abs(terms["teacher_share"] - 0.4 * factor) < 0.05


def test_a_seed_decides(make):
    counts = dict(source=8, target_unlabeled=4)
    runs = [
        prepared(make("FourierStyle", teacher_share=0.5), seed, **counts)[0]
        for seed in (3, 3, 4)
    ]
    assert torch.equal(runs[0].images, runs[1].images)
    assert torch.equal(runs[0].teacher_images, runs[1].teacher_images)
    assert not torch.equal(runs[0].images, runs[2].images)


def test_the_images_of_the_data_loader_stay_as_they_are(make):
    batch = make_batch(source=2, target_unlabeled=2)
    images, before = batch.images, batch.images.clone()
    make(share=1.0, teacher_share=1.0).prepare(batch)
    assert torch.equal(images, before) and not torch.equal(batch.images, before)


def test_in_an_estimator():
    cfg = dict(type="StyleTransfer", style=COLORS, share=1.0, strength=(1, 1))
    model = tiny_model.build(adaptations=dict(style=cfg), joints="MpiiDataset")
    images, samples = tiny_model.batch(source=2, target_labeled=1, target_unlabeled=1)
    images = images.clamp(-1.5, 1.5)
    labels = [s.gt_fields.heatmaps.clone() for s in samples[:3]]
    seen = []
    model.backbone.register_forward_pre_hook(lambda _, args: seen.append(args[0]))
    losses = model.loss(images, samples)
    assert losses["style.source_share"] == 1
    assert not any("loss" in key for key in losses if key.startswith("style."))
    assert torch.equal(seen[0][2:], images[2:])
    assert not torch.isclose(seen[0][:2], images[:2], atol=1e-3).all()
    kept = [s.gt_fields.heatmaps for s in samples[:3]]
    assert all(map(torch.equal, labels, kept))
    losses["source.loss_kpt"].backward()
    assert not any(key.startswith("adaptations") for key in model.state_dict())


def test_needed_domains(make):
    for adaptation, counts, missing in (
        (make(), dict(source=2), "target"),
        (make(), dict(target_unlabeled=2), "source"),
        (make(teacher_share=0.1), dict(source=1, target_labeled=1), "unlabeled"),
    ):
        with pytest.raises(ValueError, match=f"StyleTransfer needs .*{missing}"):
            adaptation.check(make_batch(**counts))


@pytest.mark.parametrize(
    "kwargs",
    [
        dict(share=1.5),
        dict(teacher_share=-0.1),
        dict(strength=(0.5, 0.2)),
        dict(strength=(0.0, 1.5)),
    ],
)
def test_wrong_arguments(kwargs):
    (name,) = kwargs
    with pytest.raises(ValueError, match=rf"^{name} "):
        StyleTransfer(COLORS, **kwargs)


def test_weight_without_a_loss():
    with pytest.raises(ValueError, match="no weight; set share"):
        StyleTransfer(COLORS, weight=2.0)
