"""Three marginal heatmaps of a point in a grid of w x h x d cells.

The representation is that of Nibali et al., "3D Human Pose Estimation with 2D Marginal
Heatmaps", WACV 2019. A joint has a map for each of three planes, as rows x columns:

- ``'xy'``: (h, w), rows along y, columns along x
- ``'xz'``: (d, w), rows along z, columns along x
- ``'yz'``: (h, d), rows along y, columns along z

A map is the sum of a distribution over the grid along the axis that it lacks. A
coordinate is normalized: on an axis with n cells, the center of cell i is at
(2 i + 1) / n - 1, so that the cells cover [-1, 1] exactly.
"""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from .numerics import full_precision, promote

#: The planes, each with the axes of its rows and columns; x, y, z are 0, 1, 2.
PLANES: dict[str, tuple[int, int]] = dict(xy=(1, 0), xz=(2, 0), yz=(1, 2))

# Farther points are taken for points here, so that no square of a distance overflows.
_FAR = 1e4


def plane_shape(plane: str, size: Sequence[int]) -> tuple[int, int]:
    """Rows and columns of the maps of a plane of a grid of size (w, h, d)."""
    rows, columns = PLANES[plane]
    return size[rows], size[columns]


def cell_centers(count: int, like: Tensor) -> Tensor:
    """Normalized coordinates (count,) of the centers of an axis's cells.

    Args:
        count (int): Number of cells.
        like (Tensor): A tensor of the device and the floating dtype to use.

    Returns:
        Tensor: From -1 + 1 / count to 1 - 1 / count.
    """
    index = torch.arange(count, device=like.device, dtype=like.dtype)
    return (2 * index + 1) / count - 1


def spatial_softmax(logits: Tensor) -> Tensor:
    """Logits (B, K, rows, columns) to maps that sum to 1 each, at least float32."""
    with full_precision(logits):
        return promote(logits).flatten(2).softmax(-1).view_as(logits)


def soft_argmax(maps: Mapping[str, Tensor]) -> Tensor:
    """Expected coordinates of marginal heatmaps.

    x and y come from ``'xy'``; z is the mean of what ``'xz'`` and ``'yz'`` give.

    Args:
        maps (Mapping[str, Tensor]): By plane, maps that sum to 1 each, of shapes
            (B, K, h, w), (B, K, d, w) and (B, K, h, d).

    Returns:
        Tensor: Normalized coordinates (B, K, 3), at least float32.
    """

    def expected(plane: str, axis: int) -> Tensor:
        # Maps have the dimensions (B, K, rows, columns).
        other = 3 if PLANES[plane].index(axis) == 0 else 2
        marginal = promote(maps[plane]).sum(other)
        return (marginal * cell_centers(marginal.shape[-1], marginal)).sum(-1)

    z = (expected("xz", 2) + expected("yz", 2)) / 2
    return torch.stack([expected("xy", 0), expected("xy", 1), z], dim=-1)


def marginal_gaussians(
    coordinates: Tensor, size: Sequence[int], sigma: float
) -> dict[str, Tensor]:
    """Gaussians around points, normalized to a sum of 1 over the cells of each map.

    :func:`soft_argmax` of them gives the points back but for two errors, here in cells
    for a sigma of 1. A sum over cells stands for an integral: less than 1e-7, though
    0.02 for a sigma of 0.5. And the border cuts the Gaussian off, which draws the mean
    inside: by 0.52 at the center of a border cell, and by 0.13, 0.014 and 0.0006 one,
    two and three cells further in.

    The map of a point outside the grid is that of a Gaussian's tail: it sums to 1, too,
    and the farther away the point is, the more of it is in the cells nearest to the
    point. Infinite coordinates are fine; NaN gives NaN.

    Args:
        coordinates (Tensor): Normalized coordinates (B, K, 3).
        size (Sequence[int]): Number of cells (w, h, d).
        sigma (float): Standard deviation in cells, of each axis.

    Returns:
        dict[str, Tensor]: By plane, maps (B, K, h, w), (B, K, d, w) and (B, K, h, d),
        at least float32.
    """
    with full_precision(coordinates):
        coordinates = promote(coordinates).clamp(-_FAR, _FAR)
        axes = []
        for axis, count in enumerate(size):
            cells = cell_centers(count, coordinates) - coordinates[..., axis, None]
            cells = cells * (count / 2)
            # As a softmax, since far from the grid all values of a Gaussian are 0.
            axes.append((-cells.square() / (2 * sigma**2)).softmax(-1))
        return {
            plane: axes[rows][..., :, None] * axes[columns][..., None, :]
            for plane, (rows, columns) in PLANES.items()
        }


def flip_marginals(
    maps: Mapping[str, Tensor], flip_indices: Sequence[int]
) -> dict[str, Tensor]:
    """Maps of the mirror image: x is reversed, left and right joints change places.

    Args:
        maps (Mapping[str, Tensor]): By plane, maps (B, K, rows, columns).
        flip_indices (Sequence[int]): For each joint its counterpart.

    Returns:
        dict[str, Tensor]: By plane, maps of the same shapes.
    """
    flipped = {plane: values[:, list(flip_indices)] for plane, values in maps.items()}
    # In both of the planes that have it, x runs along the columns.
    return {
        plane: values.flip(-1) if PLANES[plane][1] == 0 else values
        for plane, values in flipped.items()
    }
