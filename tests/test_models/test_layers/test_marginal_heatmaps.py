import math

import numpy as np
import pytest
import torch
from torch.autograd import gradcheck

from mmpose_da.models.layers import (
    PLANES,
    cell_centers,
    flip_marginals,
    marginal_gaussians,
    plane_shape,
    soft_argmax,
    spatial_softmax,
)

SIZE = (7, 6, 5)  # w, h, d
CUBE = (32, 32, 32)


def slow_gaussians(point, size, sigma):
    """The maps of one point, cell by cell, from the density over the whole grid."""
    grid = np.zeros(size)
    for cell in np.ndindex(*size):
        centers = [(2 * i + 1) / n - 1 for i, n in zip(cell, size, strict=True)]
        square = sum(
            ((c - p) * n / 2) ** 2 for c, p, n in zip(centers, point, size, strict=True)
        )
        grid[cell] = np.exp(-square / (2 * sigma**2))
    grid /= grid.sum()
    return dict(xy=grid.sum(2).T, xz=grid.sum(1).T, yz=grid.sum(0))


def slow_argmax(maps):
    """Coordinates from maps (rows, columns) of one joint, cell by cell."""
    found = {}
    for plane, values in maps.items():
        mean = [0.0, 0.0]
        for cell in np.ndindex(*values.shape):
            for i in range(2):
                center = (2 * cell[i] + 1) / values.shape[i] - 1
                mean[i] += values[cell] * center
        found[plane] = mean
    (y, x), (z_xz, _), (_, z_yz) = found["xy"], found["xz"], found["yz"]
    return [x, y, (z_xz + z_yz) / 2]


def points(*shape, seed=0, reach=0.9):
    generator = torch.Generator().manual_seed(seed)
    unit = torch.rand(*shape, 3, generator=generator, dtype=torch.float64)
    return (2 * unit - 1) * reach


def errors(size, sigma, at):
    """Error of the round trip, in cells, of points given in cells on each axis."""
    cells = torch.tensor(size, dtype=torch.float64)
    coordinates = (2 * at + 1) / cells - 1
    found = soft_argmax(marginal_gaussians(coordinates, size, sigma))
    return (found - coordinates) * cells / 2


def test_cells_cover_the_range():
    centers = cell_centers(4, torch.zeros((), dtype=torch.float64))
    assert centers.tolist() == [-0.75, -0.25, 0.25, 0.75]
    assert [plane_shape(plane, SIZE) for plane in PLANES] == [(6, 7), (5, 7), (6, 5)]


@pytest.mark.parametrize("sigma", [0.7, 1.0, 2.5])
def test_gaussians_equal_slow_computation(sigma):
    coordinates = points(2, 3, reach=1.3)
    maps = marginal_gaussians(coordinates, SIZE, sigma)
    assert list(maps) == ["xy", "xz", "yz"]
    for index in np.ndindex(2, 3):
        slow = slow_gaussians(coordinates[index].numpy(), SIZE, sigma)
        for plane, values in slow.items():
            assert maps[plane].shape == (2, 3, *values.shape)
            np.testing.assert_allclose(maps[plane][index], values, atol=1e-15)


def test_soft_argmax_equals_slow_computation():
    generator = torch.Generator().manual_seed(0)
    maps = {
        plane: spatial_softmax(
            torch.randn(
                2, 3, *plane_shape(plane, SIZE), generator=generator, dtype=torch.double
            )
        )
        for plane in PLANES
    }
    found = soft_argmax(maps)
    for index in np.ndindex(2, 3):
        one = {plane: values[index].numpy() for plane, values in maps.items()}
        np.testing.assert_allclose(found[index], slow_argmax(one), atol=1e-14)


def test_spatial_softmax_equals_slow_computation():
    logits = 30 * torch.randn(2, 3, 4, 5, dtype=torch.float64)
    exp = np.exp(logits.numpy())
    expected = exp / exp.sum((2, 3), keepdims=True)
    np.testing.assert_allclose(spatial_softmax(logits), expected, atol=1e-15)


def test_gradients():
    coordinates = points(1, 2).requires_grad_()
    logits = [
        torch.randn(
            1, 2, *plane_shape(plane, SIZE), dtype=torch.double
        ).requires_grad_()
        for plane in PLANES
    ]

    def expectation(*planes):
        maps = map(spatial_softmax, planes)
        return soft_argmax(dict(zip(PLANES, maps, strict=True)))

    assert gradcheck(expectation, logits)
    assert gradcheck(
        lambda c: tuple(marginal_gaussians(c, SIZE, 1.0).values()), (coordinates,)
    )


def test_round_trip_is_exact_away_from_the_border():
    at = 6 + 19 * torch.rand(4, 50, 3, dtype=torch.float64)  # six cells off
    error = errors(CUBE, 1.0, at).abs().max()
    # What is left is the sum in place of an integral: 4 pi sigma^2 exp(-2 pi^2 sigma^2)
    assert error < 1.01 * 4 * math.pi * math.exp(-2 * math.pi**2)
    narrow = errors(CUBE, 0.5, at).abs().max()
    assert 0.02 < narrow < 1.05 * math.pi * math.exp(-(math.pi**2) / 2)
    in_float32 = errors(CUBE, 1.0, at.float()).abs().max()
    assert in_float32 < 1e-4


@pytest.mark.parametrize("distance, stated", enumerate([0.52, 0.13, 0.014, 0.0006]))
@pytest.mark.parametrize("axis", range(3))
def test_border_draws_the_mean_inside(axis, distance, stated):
    """By what the docstring states, and by what a Gaussian without its tail says."""
    offsets = range(-distance, 32 - distance)
    density = {i: math.exp(-(i**2) / 2) for i in offsets}
    bias = sum(i * p for i, p in density.items()) / sum(density.values())
    assert bias == pytest.approx(stated, rel=0.1)
    at = torch.full((1, 2, 3), 15.0, dtype=torch.float64)
    expected = torch.zeros_like(at)
    at[0, 0, axis], at[0, 1, axis] = distance, 31 - distance
    expected[0, 0, axis], expected[0, 1, axis] = bias, -bias
    torch.testing.assert_close(errors(CUBE, 1.0, at), expected, atol=1e-9, rtol=0)


@pytest.mark.parametrize("dtype", [torch.float16, torch.float32, torch.float64])
@pytest.mark.parametrize("far", [1.2, 5.0, 3e4, math.inf])
def test_points_outside_pile_up_at_the_nearest_cells(dtype, far):
    coordinates = torch.tensor([[[far, -far, far], [-far, far, 0.1]]], dtype=dtype)
    maps = marginal_gaussians(coordinates, CUBE, 1.0)
    for values in maps.values():
        assert values.dtype == (torch.float32 if dtype == torch.float16 else dtype)
        assert values.sum((2, 3)).allclose(torch.ones((), dtype=values.dtype))
    assert maps["xy"][0, 0].argmax() == 31  # row 0, column 31
    assert maps["xz"][0, 1].argmax() % 32 == 0
    found = soft_argmax(maps)
    assert (found[0, 0] * torch.tensor([1, -1, 1]) > 0.95).all()
    assert found[0, 1, 2].item() == pytest.approx(0.1, abs=1e-3)


def test_nan_stays_with_its_joint():
    coordinates = points(1, 2)
    coordinates[0, 0, 2] = math.nan
    maps = marginal_gaussians(coordinates, SIZE, 1.0)
    assert maps["xz"][0, 0].isnan().all()
    assert maps["xy"].isfinite().all() and maps["xz"][0, 1].isfinite().all()


def test_half_precision_is_computed_in_float32():
    logits = torch.full((1, 1, 64, 64), 300.0, dtype=torch.float16)
    maps = spatial_softmax(logits)
    assert maps.dtype == torch.float32
    assert maps.sum().item() == pytest.approx(1)
    half = {plane: maps.to(torch.bfloat16) for plane in PLANES}
    assert soft_argmax(half).dtype == torch.float32


def test_flip_is_the_mirror_image_of_the_points():
    coordinates = points(2, 3)
    maps = flip_marginals(marginal_gaussians(coordinates, SIZE, 1.0), [0, 2, 1])
    mirrored = coordinates[:, [0, 2, 1]] * torch.tensor([-1, 1, 1])
    for plane, values in marginal_gaussians(mirrored, SIZE, 1.0).items():
        torch.testing.assert_close(maps[plane], values)


def test_no_images():
    maps = marginal_gaussians(torch.zeros(0, 4, 3), SIZE, 1.0)
    assert maps["yz"].shape == (0, 4, 6, 5)
    assert soft_argmax(maps).shape == (0, 4, 3)
    assert spatial_softmax(maps["xy"]).shape == (0, 4, 6, 7)
