import math

import numpy as np
import pytest
import torch
from torch.autograd import gradcheck

from mmpose_da.models.layers import pool_parts

KINDS = dict(mean=dict(), topk=dict(share=0.3), lse=dict())


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
            if kind == "lse":
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


@pytest.mark.parametrize("kind", KINDS)
def test_a_constant_map_is_its_value(kind):
    maps = torch.full((1, 2, 7, 3), -4.0)
    torch.testing.assert_close(pool_parts(maps, kind), torch.full((1, 2), -4.0))


def test_topk_has_at_least_one_position():
    maps = torch.arange(6.0).view(1, 1, 2, 3)
    assert pool_parts(maps, "topk", share=0.01) == 5


def test_errors():
    with pytest.raises(ValueError, match=r"pool.kind must be .* not 'max'"):
        pool_parts(torch.zeros(1, 1, 1, 1), "max")
    with pytest.raises(ValueError, match=r"pool.share must be in \(0, 1\]"):
        pool_parts(torch.zeros(1, 1, 1, 1), "topk", share=0)
