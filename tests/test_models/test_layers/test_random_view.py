import pytest
import torch
from torchvision.transforms import functional as TF

from mmpose_da.models.layers import (
    RandomView,
    gaussian_heatmaps,
    heatmap_peaks,
    random_view,
    warp_points,
)

STRONG = dict(
    rotation=40,
    scale=(0.7, 1.3),
    shear=10,
    translation=0.05,
    flip_prob=0.5,
    brightness=0.3,
    contrast=0.3,
    saturation=0.3,
    hue=0.1,
    blur=(0.1, 1.0),
    noise=0.02,
)


@pytest.fixture
def highest(monkeypatch):
    """All random numbers are at the upper end of their range."""
    monkeypatch.setattr(
        random_view, "_uniform", lambda like, shape, low, high: torch.full(shape, high)
    )


def test_without_arguments_it_is_the_crop():
    crops = torch.rand(3, 3, 8, 6)
    view = RandomView()(crops)
    assert torch.equal(view.images, crops)
    torch.testing.assert_close(view.matrices, torch.eye(3).repeat(3, 1, 1))
    assert not view.flipped.any()


@pytest.mark.parametrize("name", ["brightness", "contrast", "saturation"])
def test_colors_change_as_in_torchvision(highest, name):
    crops = 0.25 + 0.5 * torch.rand(4, 3, 10, 12)
    view = RandomView(**{name: 0.3})(crops)
    theirs = getattr(TF, f"adjust_{name}")(crops, 1.3)
    # Their weights of the luma have four digits.
    torch.testing.assert_close(view.images, theirs, atol=1e-3, rtol=0)


def test_hue_turns_about_gray(highest):
    gray = torch.rand(2, 1, 4, 4).expand(2, 3, 4, 4)
    view = RandomView(hue=0.3)(gray)
    torch.testing.assert_close(view.images, gray, atol=2e-3, rtol=0)
    colors = 0.4 + 0.2 * torch.rand(2, 3, 4, 4)
    third = RandomView(hue=1 / 3)
    turned = colors
    for _ in range(3):
        assert (third(turned).images - turned).abs().max() > 0.05
        turned = third(turned).images
    torch.testing.assert_close(turned, colors, atol=1e-3, rtol=0)
    luma = torch.tensor(random_view.LUMA)[:, None, None]
    torch.testing.assert_close(
        (third(colors).images * luma).sum(1),
        (colors * luma).sum(1),
        atol=1e-3,
        rtol=0,
    )


def test_matrices_tell_what_became_of_the_image():
    torch.manual_seed(3)
    points = 20 + 24 * torch.rand(6, 3, 2)
    # A point in each color channel.
    crops = gaussian_heatmaps(points, (64, 64), 2.0)
    geometry = {k: STRONG[k] for k in list(STRONG)[:5]}
    view = RandomView(**geometry)(crops)
    assert 0 < view.flipped.sum() < 6
    peaks, _ = heatmap_peaks(view.images)
    torch.testing.assert_close(
        peaks, warp_points(points, view.matrices), atol=0.2, rtol=0
    )
    linear = view.matrices[:, :2, :2]
    assert torch.equal(torch.linalg.det(linear) < 0, view.flipped)
    scale = torch.linalg.det(linear).abs().sqrt()
    assert scale.min() >= 0.7 and scale.max() <= 1.3 and scale.std() > 0.05


def test_ranges_are_those_of_the_arguments():
    """In a non-square image: fractions of its width and of its height."""
    torch.manual_seed(0)
    crops = torch.zeros(400, 3, 8, 20)
    shift = RandomView(translation=0.1)(crops).matrices[:, :2, 2]
    largest = torch.tensor([2.0, 0.8])
    for bound, sign in ((shift.amax(0), 1), (shift.amin(0), -1)):
        assert (sign * bound <= largest + 1e-5).all()
        assert (sign * bound >= 0.95 * largest).all()
    tilt = RandomView(shear=10)(crops).matrices[:, 0, 1].atan().rad2deg()
    turn = RandomView(rotation=30)(crops).matrices[:, 1, 0].asin().rad2deg()
    for angle, limit in ((tilt, 10), (turn, 30)):
        assert 0.95 * limit <= angle.max() <= limit + 1e-3
        assert 0.95 * limit <= -angle.min() <= limit + 1e-3


def test_way_from_one_view_to_another():
    torch.manual_seed(0)
    crops = torch.rand(4, 3, 16, 16)
    one, other = RandomView(**STRONG)(crops), RandomView(**STRONG)(crops)
    matrices, flipped = one.to(other)
    points = 16 * torch.rand(4, 5, 2)
    torch.testing.assert_close(
        warp_points(warp_points(points, one.matrices), matrices),
        warp_points(points, other.matrices),
        atol=1e-3,
        rtol=0,
    )
    assert torch.equal(flipped, one.flipped != other.flipped)


def test_seed_decides_and_images_differ():
    crops = torch.rand(1, 3, 16, 16).repeat(4, 1, 1, 1)

    def images(seed):
        torch.manual_seed(seed)
        return RandomView(**STRONG)(crops).images

    assert torch.equal(images(0), images(0))
    assert not torch.equal(images(0), images(1))
    first, *others = images(0)
    assert all((first - other).abs().max() > 0.1 for other in others)
    assert images(0).min() >= 0 and images(0).max() <= 1


@pytest.mark.parametrize(
    "kwargs, message",
    [
        (dict(flip_prob=1.5), "flip_prob"),
        (dict(brightness=-1), "brightness"),
        (dict(hue=0.7), "hue"),
        (dict(scale=(0, 1)), "scale"),
        (dict(scale=(1.2, 0.8)), "scale"),
        (dict(blur=(2, 1)), "blur"),
        (dict(translation=3), "translation"),
    ],
)
def test_impossible_views(kwargs, message):
    with pytest.raises(ValueError, match=message):
        RandomView(**kwargs)
