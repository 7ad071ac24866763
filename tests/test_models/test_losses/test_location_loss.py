import math

import pytest
import torch
from mmpose.registry import MODELS
from torch.autograd import gradcheck

from mmpose_da.models.losses import LocationLoss


def slow_loss(logits, points, weights, sigma):
    """KL of the maps from Gaussians, cell by cell."""
    batch, joints, height, width = logits.shape
    total, count = 0.0, 0
    for b in range(batch):
        for k in range(joints):
            x, y = points[b, k].tolist()
            target, predicted = {}, {}
            for i in range(height):
                for j in range(width):
                    dx = ((2 * j + 1) / width - 1 - x) * width / 2
                    dy = ((2 * i + 1) / height - 1 - y) * height / 2
                    target[i, j] = math.exp(-(dx**2 + dy**2) / (2 * sigma**2))
                    predicted[i, j] = math.exp(logits[b, k, i, j])
            norms = sum(target.values()), sum(predicted.values())
            divergence = 0.0
            for cell in target:
                p, q = target[cell] / norms[0], predicted[cell] / norms[1]
                divergence += p * math.log(p / q)
            total += weights[b, k].item() * divergence
            count += weights[b, k].item() > 0
    return total / max(count, 1)


@pytest.fixture
def example():
    torch.manual_seed(0)
    logits = torch.randn(2, 3, 5, 4, dtype=torch.float64)
    points = 2 * torch.rand(2, 3, 2, dtype=torch.float64) - 1
    weights = torch.tensor([[1.0, 0.0, 0.5], [2.0, 1.0, 0.0]], dtype=torch.float64)
    return logits, points, weights


def test_equals_slow_computation(example):
    loss = MODELS.build(dict(type="LocationLoss", sigma=0.8, loss_weight=0.3))
    assert loss(*example).item() == pytest.approx(0.3 * slow_loss(*example, 0.8))


def test_gradient(example):
    logits, points, weights = example
    loss = LocationLoss(sigma=0.8)
    assert gradcheck(lambda x: loss(x, points, weights), logits.requires_grad_())


def test_is_zero_for_the_gaussian_itself():
    y, x = torch.meshgrid(torch.arange(6.0), torch.arange(4.0), indexing="ij")
    logits = -((x - 1.3) ** 2 + (y - 2.6) ** 2) / 2
    point = torch.tensor([(2 * 1.3 + 1) / 4 - 1, (2 * 2.6 + 1) / 6 - 1])
    loss = LocationLoss()(logits[None, None], point[None, None], torch.ones(1, 1))
    assert loss == pytest.approx(0, abs=1e-6)


def test_no_joint_is_zero_with_a_graph(example):
    logits, points, weights = example
    loss = LocationLoss()(logits.requires_grad_(), points, 0 * weights)
    loss.backward()
    assert loss == 0 and torch.equal(logits.grad, torch.zeros_like(logits))


def test_half_precision(example):
    logits, points, weights = example
    loss = LocationLoss()(logits.bfloat16(), points.float(), weights.float())
    assert loss.dtype == torch.float32 and torch.isfinite(loss)


def test_errors(example):
    logits, points, weights = example
    with pytest.raises(ValueError, match="of shapes"):
        LocationLoss()(logits, points[:, :2], weights)
    with pytest.raises(ValueError, match="sigma must be positive"):
        LocationLoss(sigma=0)
