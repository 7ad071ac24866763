import numpy as np
import pytest
import torch

from mmpose_da.models.layers.numerics import (
    empty_sum,
    full_precision,
    promote,
    shared_center,
    squared_distances,
    unit_vectors,
)


@pytest.mark.parametrize(
    "given, expected",
    [
        (torch.float16, torch.float32),
        (torch.bfloat16, torch.float32),
        (torch.float32, torch.float32),
        (torch.float64, torch.float64),
    ],
)
def test_half_precision_alone_is_promoted(given, expected):
    assert promote(torch.ones(2, dtype=given)).dtype == expected


def test_no_autocast_in_full_precision():
    x = torch.rand(2, 2)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert (x @ x).dtype == torch.bfloat16
        with full_precision(x):
            assert (x @ x).dtype == torch.float32


@pytest.mark.parametrize("value", [0.0, float("nan"), float("inf")])
def test_empty_sum_is_zero_with_a_graph(value):
    a = torch.full((2, 3), value, requires_grad=True)
    b = torch.zeros(0, dtype=torch.float16, requires_grad=True)
    total = empty_sum(a, b)
    total.backward()
    assert total == 0 and total.dtype == torch.float32
    assert not a.grad.any() and b.grad is not None


def test_unit_vectors_and_the_zero_vector():
    x = torch.tensor([[3.0, 4.0], [0.0, 0.0]], requires_grad=True)
    unit = unit_vectors(x)
    torch.testing.assert_close(unit, torch.tensor([[0.6, 0.8], [0.0, 0.0]]))
    unit.sum().backward()
    torch.testing.assert_close(x.grad[1], torch.ones(2))


def test_squared_distances_equal_slow_computation():
    x, y = torch.randn(3, 5).double(), torch.randn(4, 5).double()
    expected = [[((a - b) ** 2).sum() for b in y.numpy()] for a in x.numpy()]
    np.testing.assert_allclose(squared_distances(x, y), expected)
    torch.testing.assert_close(shared_center(x, y), torch.cat([x, y]).mean(0))


def test_squared_distances_at_zero_and_far_from_the_origin():
    x = torch.full((2, 3), 1234.567, requires_grad=True)
    assert torch.equal(shared_center(x, x), x[0])
    distances = squared_distances(x, x)
    distances.sum().backward()
    assert not distances.any() and not x.grad.any()
