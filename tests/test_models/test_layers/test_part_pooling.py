import math

import numpy as np
import pytest
import torch
from torch.autograd import gradcheck

from mmpose_da.models.layers import pool_parts, region_masks

KINDS = dict(mean=dict(), topk=dict(share=0.3), lse=dict(), mass=dict())


def slow_pool(maps, kind, share=0.1):
    batch, joints, height, width = maps.shape
    out = np.zeros((batch, joints))
    for b in range(batch):
        for k in range(joints):
            values = sorted(
                (maps[b, k, i, j].item() for i in range(height) for j in range(width)),
                reverse=True,
            )
            if kind == "topk":
                values = values[: max(1, round(share * len(values)))]
            if kind == "mass":
                inside = sum(math.exp(v) for v in values)
                mass = inside / (1 + inside)
                out[b, k] = math.log(mass / (1 - mass))
            elif kind == "lse":
                mean = sum(math.exp(v) for v in values) / len(values)
                out[b, k] = math.log(mean)
            else:
                out[b, k] = sum(values) / len(values)
    return out


@pytest.mark.parametrize("kind", KINDS)
def test_equals_slow_computation(kind):
    torch.manual_seed(0)
    maps = torch.randn(2, 3, 4, 5, dtype=torch.float64)
    found = pool_parts(maps, kind, **KINDS[kind])
    np.testing.assert_allclose(found, slow_pool(maps, kind, **KINDS[kind]), rtol=1e-12)


@pytest.mark.parametrize("kind", KINDS)
def test_gradient(kind):
    torch.manual_seed(0)
    maps = torch.randn(1, 2, 3, 3, dtype=torch.float64, requires_grad=True)
    assert gradcheck(lambda x: pool_parts(x, kind, **KINDS[kind]), maps)


@pytest.mark.parametrize("kind", ["mean", "topk", "lse"])
def test_a_constant_map_is_its_value(kind):
    maps = torch.full((1, 2, 7, 3), -4.0)
    torch.testing.assert_close(pool_parts(maps, kind), torch.full((1, 2), -4.0))


def test_topk_has_at_least_one_position():
    maps = torch.arange(6.0).view(1, 1, 2, 3)
    assert pool_parts(maps, "topk", share=0.01) == 5


# Parts of an image


@pytest.fixture
def masks():
    torch.manual_seed(1)
    return torch.rand(2, 4, 4, 5, dtype=torch.float64).round(decimals=2)


def test_mass_inside_parts_equals_slow_computation(masks):
    torch.manual_seed(0)
    maps = 3 * torch.randn(2, 3, 4, 5, dtype=torch.float64)
    found = pool_parts(maps, "mass", masks=masks)
    assert found.shape == (2, 4, 3)
    for b in range(2):
        for r in range(4):
            for k in range(3):
                inside, total = 0.0, 1.0
                for i in range(4):
                    for j in range(5):
                        value = math.exp(maps[b, k, i, j])
                        inside += masks[b, r, i, j].item() * value
                        total += value
                p = inside / total
                assert found[b, r, k] == pytest.approx(math.log(p / (1 - p)))


def test_mass_gradient(masks):
    torch.manual_seed(0)
    maps = torch.randn(2, 2, 4, 5, dtype=torch.float64, requires_grad=True)
    assert gradcheck(lambda x: pool_parts(x, "mass", masks=masks), maps)


def test_the_whole_image_is_a_part(masks):
    maps = torch.randn(2, 3, 4, 5, dtype=torch.float64)
    found = pool_parts(maps, "mass", masks=torch.ones_like(masks))
    torch.testing.assert_close(found, pool_parts(maps, "mass")[:, None].expand(2, 4, 3))


@pytest.mark.parametrize("scale", [0, 300])
def test_empty_parts_and_sure_maps_are_finite(scale):
    maps = torch.full((1, 1, 2, 2), float(scale), requires_grad=True)
    masks = torch.tensor([[[[0.0, 0], [0, 0]], [[1, 0], [0, 0]], [[1, 1], [1, 1]]]])
    logits = pool_parts(maps, "mass", masks=masks)
    logits.sum().backward()
    assert torch.isfinite(logits).all() and torch.isfinite(maps.grad).all()
    assert logits[0, 0] < -50


def test_a_negative_part_raises_the_map_elsewhere():
    maps = torch.zeros(1, 1, 1, 4, requires_grad=True)
    shown = torch.tensor([[[[1.0, 0, 0, 0]]]])
    torch.nn.functional.softplus(pool_parts(maps, "mass", masks=shown)).sum().backward()
    slope = maps.grad.flatten()
    assert slope[0] > 0 and (slope[1:] < 0).all()


def test_region_masks_equal_slow_computation():
    """A part that is turned, partly outside, on a grid that does not start at 0."""
    torch.manual_seed(0)
    corner, size, angle = np.array([3.0, -2.0]), np.array([9.0, 14.0]), 0.5
    turn = (
        np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
        / size[:, None]
    )
    matrix = np.hstack([turn, -(turn @ corner)[:, None]])
    regions = torch.tensor(matrix)[None, None]
    stride, offset, samples = (4.0, 2.0), (1.5, 0.5), 8
    found = region_masks(regions, (7, 5), stride, offset, samples)
    assert found.shape == (1, 1, 7, 5)
    for i in range(7):
        for j in range(5):
            count = 0
            for dy in range(samples):
                for dx in range(samples):
                    x = (j + (dx + 0.5) / samples - 0.5) * stride[0] + offset[0]
                    y = (i + (dy + 0.5) / samples - 0.5) * stride[1] + offset[1]
                    u, v = matrix @ [x, y, 1]
                    count += 0 <= u <= 1 and 0 <= v <= 1
            assert found[0, 0, i, j] == pytest.approx(count / samples**2)
    assert 0 < found.mean() < 1


def test_errors():
    with pytest.raises(ValueError, match=r"pool.kind must be .* not 'max'"):
        pool_parts(torch.zeros(1, 1, 1, 1), "max")
    with pytest.raises(ValueError, match=r"need pool.kind='mass', not 'topk'"):
        maps = torch.zeros(1, 1, 1, 1)
        pool_parts(maps, "topk", masks=maps)
    with pytest.raises(ValueError, match=r"pool.share must be in \(0, 1\]"):
        pool_parts(torch.zeros(1, 1, 1, 1), "topk", share=0)


def test_fewer_samples_of_a_finer_grid():
    """About 128 points along an axis, whatever the size of the grid."""
    region = torch.tensor([[[[1 / 12, 0, -1 / 12], [0, 1 / 10, 0]]]])
    for size, samples in (((16, 12), 4), ((64, 48), 2), ((200, 8), 1)):
        found = region_masks(region, size, (1.0, 1.0))
        torch.testing.assert_close(
            found, region_masks(region, size, (1.0, 1.0), samples=samples)
        )
        assert found.shape == (1, 1, *size) and 0 < found.mean() < 1
