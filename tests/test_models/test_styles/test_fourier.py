import math

import numpy as np
import pytest
import torch
from mmpose.registry import MODELS

from mmpose_da.models.styles import FourierStyle


def images(*shape, seed=0):
    # away from 0 and 1, so that nothing is clamped
    generator = torch.manual_seed(seed)
    x = torch.rand(*shape, generator=generator, dtype=torch.float64)
    return 0.4 + 0.2 * x


def slow_transfer(content, style, strength, beta):
    """For one channel, with the full spectrum and the zero frequency in the middle."""
    height, width = content.shape
    spectrum = np.fft.fftshift(np.fft.fft2(content))
    style_spectrum = np.fft.fftshift(np.fft.fft2(style))
    reach = math.floor(beta * min(height, width))
    for i in range(height):
        for j in range(width):
            if abs(i - height // 2) <= reach and abs(j - width // 2) <= reach:
                amplitude = (1 - strength) * abs(spectrum[i, j])
                amplitude += strength * abs(style_spectrum[i, j])
                phase = np.angle(spectrum[i, j])
                spectrum[i, j] = amplitude * np.exp(1j * phase)
    return np.fft.ifft2(np.fft.ifftshift(spectrum)).real


@pytest.mark.parametrize("size", [(12, 8), (8, 12), (9, 11)])
@pytest.mark.parametrize("beta", [0.0, 0.01, 0.2, 0.375])
def test_equals_slow_computation(size, beta):
    content, style = images(2, 3, *size), images(2, 3, *size, seed=1)
    strength = torch.tensor([0.3, 1.0], dtype=torch.float64)
    result = MODELS.build(dict(type="FourierStyle", beta=beta))(
        content, style, strength
    )
    for b, c in np.ndindex(2, 3):
        expected = slow_transfer(content[b, c], style[b, c], strength[b].item(), beta)
        np.testing.assert_allclose(result[b, c], expected, atol=1e-6)


def test_a_small_window_moves_the_mean_color_alone():
    content, style = images(1, 3, 64, 64), images(1, 3, 64, 64, seed=1) + 0.1
    assert FourierStyle(0.01).window(64, 64).sum() == 1
    result = FourierStyle(0.01)(content, style, torch.ones(1))
    mean = style.mean((2, 3), keepdim=True)
    expected = content - content.mean((2, 3), keepdim=True) + mean
    torch.testing.assert_close(result, expected, atol=1e-6, rtol=0)


def test_strength_zero_and_the_own_style_change_nothing():
    x = torch.rand(2, 3, 16, 16)
    style = FourierStyle(0.3)
    assert torch.equal(style(x, torch.rand_like(x), torch.zeros(2)), x)
    torch.testing.assert_close(style(x, x, torch.ones(2)), x, atol=1e-6, rtol=0)


def test_black_and_white_stay_in_range():
    black, white = torch.zeros(1, 3, 8, 8), torch.ones(1, 3, 8, 8)
    for content, style in (
        (black, white),
        (white, black),
        (torch.rand_like(white),) * 2,
    ):
        result = FourierStyle(0.5)(content, style, torch.ones(1))
        assert result.isfinite().all() and 0 <= result.min() <= result.max() <= 1
    torch.testing.assert_close(FourierStyle()(black, white, torch.ones(1)), white)


@pytest.mark.parametrize("beta", [-0.1, 0.6])
def test_wrong_beta(beta):
    with pytest.raises(ValueError, match=rf"beta .*{beta}"):
        FourierStyle(beta)
