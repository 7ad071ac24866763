from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from .numerics import promote

_TINY = 1e-6  # below this, the shape of a heatmap defines no peak


def heatmap_peaks(heatmaps: Tensor) -> tuple[Tensor, Tensor]:
    """Find the peak of each heatmap, to a fraction of a pixel, and its height.

    Around the highest pixel, the heatmap is modeled as a Gaussian: in x and in y, a
    parabola goes through the logarithms of three neighbors. This is the refinement of
    Zhang et al., "Distribution-Aware Coordinate Representation for Human Pose
    Estimation", CVPR 2020, Sec. 3.1, without the mixed derivative and the smoothing.

    Args:
        heatmaps (Tensor): (B, K, h, w).

    Returns:
        tuple[Tensor, Tensor]: Points (B, K, 2) in pixels, x first, and the values of
        the highest pixels (B, K).
    """
    heatmaps = promote(heatmaps)
    width = heatmaps.shape[-1]
    confidence, index = heatmaps.flatten(2).max(dim=-1)
    x, y = index % width, index // width
    # Mirrored at the borders, where the other side is unknown: the offset is 0.
    padded = F.pad(heatmaps.clamp(min=_TINY).log(), (1, 1, 1, 1), mode="reflect")
    flat, stride = padded.flatten(2), width + 2
    at_peak = (y + 1) * stride + x + 1

    def offset(step: int) -> Tensor:
        before, here, after = (
            flat.gather(2, (at_peak + move)[..., None])[..., 0]
            for move in (-step, 0, step)
        )
        bend = 2 * here - before - after
        inside = bend > _TINY
        slope = (after - before) / 2
        moved = slope / torch.where(inside, bend, torch.ones_like(bend))
        return torch.where(inside, moved.clamp(-0.5, 0.5), torch.zeros_like(moved))

    points = torch.stack([x + offset(1), y + offset(stride)], dim=-1)
    return points, confidence


def gaussian_heatmaps(points: Tensor, size: Sequence[int], sigma: float) -> Tensor:
    """Draw Gaussians of height 1 around points, like MMPose's unbiased ``MSRAHeatmap``.

    Args:
        points (Tensor): (B, K, 2) in pixels, x first.
        size (Sequence[int]): Height and width of the heatmaps.
        sigma (float): Standard deviation in pixels.

    Returns:
        Tensor: (B, K, h, w). Unlike MMPose's, they are not cut off at 3 sigma.
    """
    height, width = size
    x = torch.arange(width, device=points.device) - points[..., :1]
    y = torch.arange(height, device=points.device) - points[..., 1:]
    x, y = ((-(d**2) / (2 * sigma**2)).exp() for d in (x, y))
    return y[..., :, None] * x[..., None, :]
