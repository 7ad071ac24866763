from __future__ import annotations

import math

import torch
from mmpose.registry import MODELS
from torch import Tensor

from .base import Style


@MODELS.register_module()
class FourierStyle(Style):
    """Transfers the amplitudes of the style's low frequencies.

    Yang and Soatto, "FDA: Fourier Domain Adaptation for Semantic Segmentation", CVPR
    2020, Sec. 3.1, Eq. 3. Per channel, the phase is kept, and so are the amplitudes of
    frequencies that are farther from zero than ``beta`` times the smaller side of the
    image, along either axis. The strength interpolates the amplitudes.

    The zero frequency, which is the mean color, is always in the window. It is the only
    one if ``beta`` times the side is less than 1: with 0.01, in images below 100 px.

    Args:
        beta (float): Half the side of the window, as a fraction of the smaller side of
            the image; in [0, 0.5]. The paper uses 0.01, 0.05, and 0.09. Defaults to
            0.01.
    """

    def __init__(self, beta: float = 0.01) -> None:
        super().__init__()
        if not 0 <= beta <= 0.5:
            raise ValueError(f"beta must be in [0, 0.5], but is {beta}")
        self.beta = beta

    def transfer(self, content: Tensor, style: Tensor, strength: Tensor) -> Tensor:
        height, width = content.shape[2:]
        spectrum, style_spectrum = torch.fft.rfft2(torch.stack([content, style]))
        share = strength * self.window(height, width, device=content.device)
        amplitude = spectrum.abs().lerp(style_spectrum.abs(), share)
        mixed = torch.polar(amplitude, spectrum.angle())
        return torch.fft.irfft2(mixed, s=(height, width))

    def window(
        self, height: int, width: int, device: torch.device | None = None
    ) -> Tensor:
        """Return which ``rfft2`` frequencies (H, W // 2 + 1) are in it, as 0 or 1."""
        reach = math.floor(self.beta * min(height, width))
        y = torch.fft.fftfreq(height, 1 / height, device=device).abs() <= reach
        x = torch.fft.rfftfreq(width, 1 / width, device=device) <= reach
        return (y[:, None] & x).float()
