"""Affine transforms of images and heatmaps, for a whole batch at once.

A matrix (3, 3) maps the coordinates (x, y, 1) of a pixel center to its new position.
The center of the first pixel is (0, 0).
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from .numerics import full_precision, promote


def affine_matrices(
    size: Sequence[int],
    rotation: Tensor,
    scale: Tensor,
    shear: Tensor,
    translation: Tensor,
    flip: Tensor,
) -> Tensor:
    """Build matrices of a flip, then a scale, a shear, a rotation, and a translation.

    All but the translation keep the image center fixed.

    Args:
        size (Sequence[int]): Height and width of the image in pixels.
        rotation (Tensor): (B,) degrees, clockwise as seen in the image.
        scale (Tensor): (B,) factors.
        shear (Tensor): (B,) degrees by which a vertical line is tilted.
        translation (Tensor): (B, 2) pixels to the right and down.
        flip (Tensor): (B,) bool, whether left and right are swapped.

    Returns:
        Tensor: (B, 3, 3).
    """
    angle, tilt = torch.deg2rad(rotation), torch.tan(torch.deg2rad(shear))
    cos, sin = scale * angle.cos(), scale * angle.sin()
    sign = torch.where(flip, -1.0, 1.0).to(scale)
    linear = torch.stack(
        [
            torch.stack([cos * sign, tilt * cos - sin], dim=-1),
            torch.stack([sin * sign, tilt * sin + cos], dim=-1),
        ],
        dim=-2,
    )
    height, width = size
    center = scale.new_tensor([(width - 1) / 2, (height - 1) / 2])
    matrices = torch.eye(3).to(scale).repeat(len(scale), 1, 1)
    matrices[:, :2, :2] = linear
    matrices[:, :2, 2] = center - linear @ center + translation
    return matrices


def warp_points(points: Tensor, matrices: Tensor) -> Tensor:
    """Transform points by matrices.

    Args:
        points (Tensor): (B, K, 2), or (B, K, 3) with a depth relative to the root, in
            the same unit (weak perspective). Depth is scaled, nothing else.
        matrices (Tensor): (B, 3, 3).

    Returns:
        Tensor: The transformed points, of the same shape.
    """
    with full_precision(points):  # half precision is off by pixels
        linear = matrices[:, :2, :2]
        plane = points[..., :2] @ linear.mT + matrices[:, None, :2, 2]
        if points.shape[-1] == 2:
            return plane
        scale = torch.linalg.det(linear).abs().sqrt()
        return torch.cat([plane, points[..., 2:] * scale[:, None, None]], dim=-1)


def warp(maps: Tensor, matrices: Tensor) -> Tensor:
    """Transform maps by matrices, with one bilinear sampling.

    Args:
        maps (Tensor): (B, C, H, W).
        matrices (Tensor): (B, 3, 3), invertible.

    Returns:
        Tensor: (B, C, H, W), at least float32; 0 where the source is outside.
    """
    with full_precision(maps):
        maps, matrices = promote(maps), promote(matrices)
        height, width = maps.shape[2:]
        y, x = torch.meshgrid(
            torch.arange(height, device=maps.device, dtype=matrices.dtype),
            torch.arange(width, device=maps.device, dtype=matrices.dtype),
            indexing="ij",
        )
        here = torch.stack([x, y], dim=-1).reshape(1, -1, 2)
        from_where = warp_points(here, torch.linalg.inv(matrices))
        # In grid_sample, the centers of the first and last pixel are -1 and 1.
        last = from_where.new_tensor([max(width - 1, 1), max(height - 1, 1)])
        grid = (2 * from_where / last - 1).to(maps)
        grid = grid.reshape(len(maps), height, width, 2)
        return F.grid_sample(maps, grid, padding_mode="zeros", align_corners=True)


def warp_heatmaps(
    heatmaps: Tensor, matrices: Tensor, flipped: Tensor, flip_indices: Sequence[int]
) -> Tensor:
    """Transform heatmaps from one view of an image to another.

    Args:
        heatmaps (Tensor): (B, K, h, w).
        matrices (Tensor): (B, 3, 3) between heatmap pixels.
        flipped (Tensor): (B,) bool, whether one view is the mirror image of the other:
            left and right joints are then swapped, too.
        flip_indices (Sequence[int]): Index of the counterpart of each joint.

    Returns:
        Tensor: (B, K, h, w), at least float32.
    """
    return warp(swap_joints(heatmaps, flipped, flip_indices), matrices)


def swap_joints(values: Tensor, flipped: Tensor, flip_indices: Sequence[int]) -> Tensor:
    """Swap left and right joints of (B, K, ...) where ``flipped`` (B,) is true."""
    flipped = flipped.reshape(-1, *[1] * (values.dim() - 1))
    return torch.where(flipped, values[:, list(flip_indices)], values)
