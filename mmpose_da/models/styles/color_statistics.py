from __future__ import annotations

import torch
from mmpose.registry import MODELS
from torch import Tensor

from ..layers.numerics import full_precision
from .base import Style

#: Reinhard et al., 2001: RGB to cone responses.
RGB_TO_LMS = (
    (0.3811, 0.5783, 0.0402),
    (0.1967, 0.7244, 0.0782),
    (0.0241, 0.1288, 0.8444),
)
#: Their logarithms to l, alpha, and beta, before the rows are scaled to length 1.
LMS_TO_LAB = ((1, 1, 1), (1, 1, -2), (1, -1, 0))
#: Added before the logarithm: one gray level of 256.
BLACK = 1 / 255


@MODELS.register_module()
class ColorStatisticsStyle(Style):
    """Transfers the mean and standard deviation of the style's colors.

    Reinhard et al., "Color Transfer between Images", IEEE Computer Graphics and
    Applications, 2001: mean and standard deviation of each image are matched in each
    channel of the decorrelated l-alpha-beta space, which is computed from logarithms of
    cone responses. Unlike :class:`AdaINStyle`, this does not transfer texture. It is a
    lightweight substitute without weights.

    The paper does not treat black, which has no logarithm: here, one gray level is
    added before the logarithm and subtracted after its inverse. The strength
    interpolates means and standard deviations.

    Args:
        eps (float): Lower bound of a standard deviation, in natural logarithms. Without
            it, color noise in a gray image would be amplified. Defaults to 0.01.
    """

    to_lms: Tensor
    to_lms_inverse: Tensor
    to_lab: Tensor
    to_lab_inverse: Tensor

    def __init__(self, eps: float = 0.01) -> None:
        super().__init__()
        if eps <= 0:
            raise ValueError(f"eps must be positive, but is {eps}")
        self.eps = eps
        to_lms = torch.tensor(RGB_TO_LMS)
        to_lab = torch.tensor(LMS_TO_LAB, dtype=torch.float)
        to_lab /= to_lab.norm(dim=1, keepdim=True)
        for name, matrix in (("to_lms", to_lms), ("to_lab", to_lab)):
            self.register_buffer(name, matrix, persistent=False)
            self.register_buffer(f"{name}_inverse", matrix.inverse(), persistent=False)

    def transfer(self, content: Tensor, style: Tensor, strength: Tensor) -> Tensor:
        with full_precision(content):
            colors, style_colors = self.encode(torch.stack([content, style]))
            (std, mean), (style_std, style_mean) = (
                torch.std_mean(c, dim=(2, 3), correction=0, keepdim=True)
                for c in (colors, style_colors)
            )
            std, style_std = std.clamp(min=self.eps), style_std.clamp(min=self.eps)
            scale = std.lerp(style_std, strength) / std
            matched = (colors - mean) * scale + mean.lerp(style_mean, strength)
            return self.decode(matched)

    def encode(self, pixels: Tensor) -> Tensor:
        """Convert RGB (..., 3, H, W) to l, alpha, beta (..., 3, H, W)."""
        lms = _mix(self.to_lms, pixels).clamp(min=0)
        return _mix(self.to_lab, (lms + BLACK).log())

    def decode(self, colors: Tensor) -> Tensor:
        """Invert :meth:`encode`."""
        lms = _mix(self.to_lab_inverse, colors).exp() - BLACK
        return _mix(self.to_lms_inverse, lms)


def _mix(matrix: Tensor, channels: Tensor) -> Tensor:
    """Multiply each pixel of (..., 3, H, W) by a matrix."""
    return torch.einsum("ij,...jhw->...ihw", matrix.to(channels), channels)
