import pytest
import tiny_model
import torch
from mmpose.registry import MODELS

from mmpose_da.models.adaptations import PastedPatches
from mmpose_da.structures import DomainBatch

HEIGHT, WIDTH = 40, 60


def make(**kwargs) -> PastedPatches:
    return MODELS.build(dict(type="PastedPatches", **kwargs))


def make_batch(**counts) -> DomainBatch:
    """Images of one gray level each: their index."""
    _, samples = tiny_model.batch(**counts)
    levels = torch.arange(len(samples)).float()[:, None, None, None]
    return DomainBatch(samples, levels.repeat(1, 3, HEIGHT, WIDTH))


def pasted(adaptation, seed=0, **counts):
    """The batch after `prepare`, and the index of the image that each pixel shows."""
    batch = make_batch(**counts)
    torch.manual_seed(seed)
    adaptation.check(batch)
    adaptation.prepare(batch)
    assert (batch.images == batch.images[:, :1]).all()
    return batch, batch.images[:, 0].long()


def test_target_images_are_pasted_over_source_images():
    counts = dict(source=30, target_labeled=2, target_unlabeled=2)
    batch, shown = pasted(make(), **counts)
    assert torch.equal(batch.images[30:], make_batch(**counts).images[30:])
    covered = [set(image.unique().tolist()) - {i} for i, image in enumerate(shown[:30])]
    assert set().union(*covered) == {30, 31, 32, 33}
    assert all(len(others) <= 2 for others in covered)


def test_labels_stay_as_they_are():
    batch = make_batch(source=4, target_unlabeled=4)
    samples = list(batch.data_samples)
    heatmaps = [s.gt_fields.heatmaps.clone() for s in samples[:4]]
    make().prepare(batch)
    assert all(a is b for a, b in zip(batch.data_samples, samples, strict=True))
    for sample, before in zip(samples, heatmaps, strict=False):
        assert torch.equal(sample.gt_fields.heatmaps, before)


def test_a_patch_is_a_rectangle_of_the_given_sides():
    """Count rows and columns by themselves, where the patch is within the image."""
    _, shown = pasted(make(count=1, size=(0.2, 0.5)), source=400, target_unlabeled=1)
    sides = []
    for index, image in enumerate(shown[:400]):
        rows, columns = torch.nonzero(image != index, as_tuple=True)
        if len(rows) == 0:
            continue
        (top, bottom), (left, right) = rows.aminmax(), columns.aminmax()
        height, width = int(bottom - top) + 1, int(right - left) + 1
        assert len(rows) == height * width
        if min(top, left) > 0 and bottom < HEIGHT - 1 and right < WIDTH - 1:
            sides.append((height / HEIGHT, width / WIDTH))
    sides = torch.tensor(sides)
    assert len(sides) > 100
    pixel = torch.tensor([1 / HEIGHT, 1 / WIDTH])
    assert (sides >= 0.2 - pixel).all() and (sides <= 0.5 + pixel).all()
    assert (sides.amin(0) < 0.25).all() and (sides.amax(0) > 0.42).all()
    assert abs(torch.corrcoef(sides.T)[0, 1]) < 0.25  # each side is drawn by itself


def test_centers_are_uniform_in_the_image():
    _, shown = pasted(make(count=1, size=(0.02, 0.03)), source=2000, target_unlabeled=1)
    hits = (shown[:2000] != torch.arange(2000)[:, None, None]).float()
    quarters = hits.sum(0).unflatten(0, (2, -1)).unflatten(2, (2, -1)).sum((1, 3))
    assert ((quarters / quarters.sum() - 0.25).abs() < 0.04).all()


def test_share_of_images_with_patches():
    _, shown = pasted(make(share=0.3, count=3), source=300, target_unlabeled=2)
    changed = (shown[:300] != torch.arange(300)[:, None, None]).flatten(1).any(1)
    assert 0.22 < changed.float().mean() < 0.38
    _, shown = pasted(make(share=0.0), source=10, target_unlabeled=2)
    assert (shown == torch.arange(12)[:, None, None]).all()


def test_source_images_without_a_target():
    """Patches then show other source images as they were, never the image itself."""
    adaptation = make(patch="source", size=(0.4, 0.4))
    assert adaptation.needs == ("source",)
    for seed in range(20):
        _, shown = pasted(adaptation, seed, source=2)
        changed = [(shown[i] != i) for i in range(2)]
        assert all(area.any() for area in changed)
        assert all((shown[i][changed[i]] == 1 - i).all() for i in range(2))
    with pytest.raises(ValueError, match=r"samples_per_domain\.source to at least 2"):
        adaptation.prepare(make_batch(source=1))


def test_needs_a_target_to_paste():
    with pytest.raises(ValueError, match="PastedPatches needs images of .'target'."):
        make().check(make_batch(source=3))
    batch = make_batch(source=3)  # as on a rank whose batch has none
    make().prepare(batch)
    assert torch.equal(batch.images, make_batch(source=3).images)


def test_seeds_give_other_patches():
    results = [pasted(make(), seed, source=4, target_unlabeled=2)[1] for seed in (0, 1)]
    assert not torch.equal(*results)
    again = pasted(make(), 0, source=4, target_unlabeled=2)[1]
    assert torch.equal(results[0], again)


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("count", 0, "count of PastedPatches must be positive, but is 0"),
        ("size", (0.0, 0.4), r"range in \(0, 1\]"),
        ("size", (0.5, 0.4), r"range in \(0, 1\]"),
        ("size", (0.5, 1.4), r"range in \(0, 1\]"),
        ("share", 1.5, r"share of PastedPatches must be in \[0, 1\], but is 1.5"),
        ("patch", "other", "patch='other' is neither 'target' nor 'source'"),
        ("weight", 0.5, "PastedPatches has no loss and thus no weight"),
        ("rampup", dict(end=5), "PastedPatches has no loss and thus no rampup"),
    ],
)
def test_bad_arguments(key, value, message):
    with pytest.raises(ValueError, match=message):
        make(**{key: value})


def test_in_training_the_model_sees_the_patches():
    """The loss is that of images with the patches of the same random numbers."""
    torch.manual_seed(0)
    plain = tiny_model.build(adaptations={})
    torch.manual_seed(0)
    model = tiny_model.build(adaptations=dict(patches=dict(type="PastedPatches")))
    images, samples = tiny_model.batch(source=3, target_unlabeled=2)
    torch.manual_seed(1)
    losses = model.loss(images, samples)
    torch.manual_seed(1)
    batch = DomainBatch(samples, images)
    make().prepare(batch)
    assert not torch.equal(batch.images, images)
    expected = plain.loss(batch.images, samples)
    assert losses.keys() == expected.keys()
    for name, value in losses.items():
        torch.testing.assert_close(value, expected[name])
