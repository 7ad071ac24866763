import numpy as np
import pytest
import torch
from mmpose.registry import MODELS
from torch.autograd import gradcheck

from mmpose_da.models.losses import AdversarialLoss

MODES = ("bce", "least_squares", "focal")


def logits(*shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(*shape, generator=generator, dtype=torch.float64) * 2
    return x.requires_grad_()


def slow_side(values, label, mode, gamma):
    terms = []
    for z in values.detach().numpy().ravel():
        p = 1 / (1 + np.exp(-z))
        p_y = p if label == 1 else 1 - p
        if mode == "bce":
            terms.append(-np.log(p_y))
        elif mode == "least_squares":
            terms.append((label - p) ** 2)
        else:
            terms.append(-((1 - p_y) ** gamma) * np.log(p_y))
    return np.mean(terms)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("gamma", [0.0, 3.0, 5.0])
@pytest.mark.parametrize("shapes", [((4, 1), (4, 1)), ((2, 1, 3, 4), (5, 1, 3, 4))])
def test_equals_slow_computation(mode, gamma, shapes):
    source, target = logits(*shapes[0]), logits(*shapes[1], seed=1)
    loss = MODELS.build({"type": "AdversarialLoss", "mode": mode, "gamma": gamma})
    expected = 0.5 * (
        slow_side(source, 1, mode, gamma) + slow_side(target, 0, mode, gamma)
    )
    assert loss(source, target).item() == pytest.approx(expected)


@pytest.mark.parametrize("mode", MODES)
def test_gradient(mode):
    assert gradcheck(AdversarialLoss(mode), (logits(3, 2), logits(4, 1, seed=1)))


@pytest.mark.parametrize("mode", MODES)
def test_extreme_logits_are_finite(mode):
    source = torch.tensor([-1e4, 0.0, 1e4], requires_grad=True)
    target = torch.tensor([-1e4, 0.0, 1e4], requires_grad=True)
    loss = AdversarialLoss(mode)(source, target)
    loss.backward()
    assert loss.isfinite() and source.grad.isfinite().all()
    assert target.grad.isfinite().all()


@pytest.mark.parametrize("mode", MODES)
def test_right_answers_cost_less(mode):
    loss, high, low = AdversarialLoss(mode), torch.tensor([3.0]), torch.tensor([-3.0])
    assert loss(high, low) < loss(low * 0, low * 0) < loss(low, high)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("n, m", [(0, 3), (3, 0), (0, 0)])
def test_empty_side_gives_zero_with_graph(mode, n, m):
    source, target = logits(n, 1), logits(m, 1)
    loss = AdversarialLoss(mode)(source, target)
    assert loss.item() == 0 and loss.requires_grad
    loss.backward()
    assert not source.grad.any() and not target.grad.any()


def test_wrong_arguments():
    with pytest.raises(ValueError, match="mode.*'hinge'"):
        AdversarialLoss(mode="hinge")
    with pytest.raises(ValueError, match="gamma.*-1"):
        AdversarialLoss(gamma=-1)
