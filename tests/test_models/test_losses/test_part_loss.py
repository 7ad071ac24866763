import math

import pytest
import torch
from mmpose.registry import MODELS
from torch.autograd import gradcheck

from mmpose_da.models.losses import PartLoss


def slow_loss(logits, labels, weights):
    total, count = 0.0, 0
    for image in zip(logits.tolist(), labels.tolist(), weights.tolist(), strict=True):
        for logit, label, weight in zip(*image, strict=True):
            p = 1 / (1 + math.exp(-logit))
            total += -weight * (label * math.log(p) + (1 - label) * math.log(1 - p))
            count += weight > 0
    return total / max(count, 1)


@pytest.fixture
def example():
    torch.manual_seed(0)
    logits = 3 * torch.randn(4, 5, dtype=torch.float64)
    labels = torch.randint(0, 2, (4, 5)).double()
    weights = torch.rand(4, 5).double() * torch.randint(0, 2, (4, 5))
    return logits, labels, weights


def test_equals_slow_computation(example):
    loss = MODELS.build(dict(type="PartLoss", loss_weight=0.3))
    assert loss(*example).item() == pytest.approx(0.3 * slow_loss(*example))


def test_gradient(example):
    logits, labels, weights = example
    assert gradcheck(lambda x: PartLoss()(x, labels, weights), logits.requires_grad_())


def test_unknown_labels_change_nothing(example):
    logits, labels, weights = example
    changed = torch.where(weights > 0, labels, 1 - labels)
    assert PartLoss()(logits, changed, weights) == PartLoss()(logits, labels, weights)


def test_nothing_known_is_zero_with_a_graph(example):
    logits, labels, weights = example
    loss = PartLoss()(logits.requires_grad_(), labels, torch.zeros_like(weights))
    loss.backward()
    assert loss == 0 and torch.equal(logits.grad, torch.zeros_like(logits))


def test_half_precision_and_large_logits():
    logits = torch.tensor([[80.0, -80.0]], dtype=torch.bfloat16)
    loss = PartLoss()(logits, torch.tensor([[0, 0]]), torch.ones(1, 2))
    assert loss.dtype == torch.float32 and loss == pytest.approx(40)


def test_shapes_are_checked(example):
    logits, labels, weights = example
    with pytest.raises(ValueError, match="one shape"):
        PartLoss()(logits, labels[:, :2], weights)
