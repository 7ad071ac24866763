import math

import numpy as np
import pytest
import torch
from mmpose.registry import MODELS

from mmpose_da.models.styles import ColorStatisticsStyle

LMS = np.array(
    [[0.3811, 0.5783, 0.0402], [0.1967, 0.7244, 0.0782], [0.0241, 0.1288, 0.8444]]
)
SCALE = np.diag([1 / math.sqrt(3), 1 / math.sqrt(6), 1 / math.sqrt(2)])
LAB = SCALE @ np.array([[1, 1, 1], [1, 1, -2], [1, -1, 0]])


def images(count, seed=0, low=0.3, high=0.7, size=(6, 5)):
    generator = torch.manual_seed(seed)
    x = torch.rand(count, 3, *size, generator=generator, dtype=torch.float64)
    return low + (high - low) * x


def to_lab(image):
    """Pixel by pixel, with the decadic logarithm of the paper."""
    return [
        LAB @ np.log10(LMS @ image[:, i, j] + 1 / 255)
        for i, j in np.ndindex(image.shape[1:])
    ]


def slow_transfer(content, style, strength):
    own, other = (np.array(to_lab(image)) for image in (content, style))
    mean = (1 - strength) * own.mean(0) + strength * other.mean(0)
    std = (1 - strength) * own.std(0) + strength * other.std(0)
    result = np.zeros_like(content)
    for pixel, (i, j) in zip(own, np.ndindex(content.shape[1:]), strict=True):
        moved = std / own.std(0) * (pixel - own.mean(0)) + mean
        lms = 10 ** (np.linalg.inv(LAB) @ moved) - 1 / 255
        result[:, i, j] = np.linalg.inv(LMS) @ lms
    return result.clip(0, 1)


def test_equals_slow_computation():
    content, style = images(3), images(3, seed=1, low=0.4, high=0.5)
    strength = torch.tensor([0.25, 0.7, 1.0], dtype=torch.float64)
    transfer = MODELS.build(dict(type="ColorStatisticsStyle", eps=1e-6))
    result = transfer(content, style, strength)
    for b in range(3):
        expected = slow_transfer(
            content[b].numpy(), style[b].numpy(), strength[b].item()
        )
        np.testing.assert_allclose(result[b], expected, atol=1e-6)


def test_statistics_become_those_of_the_style():
    content, style = images(1), images(1, seed=1, low=0.4, high=0.6)
    result = ColorStatisticsStyle()(content, style, torch.ones(1))
    ours, theirs = (np.array(to_lab(image[0].numpy())) for image in (result, style))
    np.testing.assert_allclose(ours.mean(0), theirs.mean(0), atol=1e-6)
    np.testing.assert_allclose(ours.std(0), theirs.std(0), atol=1e-6)


def test_strength_zero_and_the_own_style_change_nothing():
    x = torch.rand(2, 3, 16, 16)
    x[0, :, :4] = 0  # black
    style = ColorStatisticsStyle()
    assert torch.equal(style(x, torch.rand_like(x), torch.zeros(2)), x)
    torch.testing.assert_close(style(x, x, torch.ones(2)), x, atol=1e-5, rtol=0)


def test_flat_images():
    colors = torch.eye(3)[:, :, None, None].expand(3, 3, 8, 8)
    black, white = torch.zeros(1, 3, 8, 8), torch.ones(1, 3, 8, 8)
    content = torch.cat([colors, black, white])
    style = content.roll(1, dims=0)
    result = ColorStatisticsStyle()(content, style, torch.ones(5))
    torch.testing.assert_close(result, style, atol=1e-5, rtol=0)


def test_a_gray_image_does_not_become_colorful():
    gray = torch.rand(1, 1, 16, 16).expand(1, 3, 16, 16) * 0.4 + 0.3
    colorful = torch.rand(1, 3, 16, 16) * 0.4 + 0.3
    assert _spread_of_hue(ColorStatisticsStyle()(gray, colorful, torch.ones(1))) < 0.1
    # rounding noise, amplified
    assert (
        _spread_of_hue(ColorStatisticsStyle(1e-9)(gray, colorful, torch.ones(1))) > 0.2
    )


def _spread_of_hue(images):
    return (images[:, 0] / images[:, 1].clamp(min=1e-3)).std()


def test_under_autocast():
    arguments = images(2).float(), images(2, seed=1).float(), torch.ones(2)
    style = ColorStatisticsStyle()
    with torch.autocast("cpu", torch.bfloat16):
        low = style(*arguments)
    torch.testing.assert_close(low, style(*arguments))


def test_wrong_arguments():
    with pytest.raises(ValueError, match="eps .*0"):
        ColorStatisticsStyle(eps=0)
