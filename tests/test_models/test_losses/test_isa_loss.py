import numpy as np
import pytest
import torch
from mmpose.registry import MODELS
from torch.autograd import gradcheck

from mmpose_da.models.losses import ISALoss


def slow_isa(labeled, unlabeled):
    a, b = labeled.detach().numpy(), unlabeled.detach().numpy()
    terms = []
    for i in range(max(len(a), len(b))):
        for k in range(a.shape[1]):
            x, y = a[i % len(a), k].ravel(), b[i % len(b), k].ravel()
            product = np.linalg.norm(x) * np.linalg.norm(y)
            terms.append(1 - (x @ y / product if product else 0))
    return np.mean(terms)


def maps(n, *shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(n, *shape, generator=generator, dtype=torch.float64)
    return x.requires_grad_()


@pytest.mark.parametrize("n, m", [(1, 1), (3, 3), (2, 5), (5, 2)])
@pytest.mark.parametrize("shape", [(4, 3, 2), (4, 7)])
def test_equals_slow_computation(n, m, shape):
    labeled, unlabeled = maps(n, *shape), maps(m, *shape, seed=1)
    loss = MODELS.build({"type": "ISALoss"})(labeled, unlabeled)
    assert loss.shape == ()
    assert loss.item() == pytest.approx(slow_isa(labeled, unlabeled))


def test_gradient():
    labeled, unlabeled = maps(2, 3, 4), maps(3, 3, 4, seed=1)
    assert gradcheck(ISALoss(detach_labeled=False), (labeled, unlabeled))
    assert gradcheck(lambda u: ISALoss()(labeled, u), (unlabeled,))


def test_labeled_side_is_constant_only_when_detached():
    for detach in (True, False):
        labeled, unlabeled = maps(2, 3, 4), maps(2, 3, 4, seed=1)
        ISALoss(detach_labeled=detach)(labeled, unlabeled).backward()
        assert unlabeled.grad.any()
        assert (labeled.grad is None) == detach


def test_zero_vectors():
    labeled, unlabeled = maps(2, 3, 4), maps(2, 3, 4, seed=1)
    with torch.no_grad():
        labeled[0, 0] = unlabeled[0, 1] = 0
        labeled[1, 2] = unlabeled[1, 2] = 0
    loss = ISALoss(detach_labeled=False)(labeled, unlabeled)
    assert loss.item() == pytest.approx(slow_isa(labeled, unlabeled))
    loss.backward()
    for grad in (labeled.grad, unlabeled.grad):
        assert grad.abs().max() < 10  # finite, and not divided by a tiny length


@pytest.mark.parametrize("n, m", [(0, 3), (3, 0), (0, 0)])
def test_empty_side_gives_zero_with_graph(n, m):
    labeled, unlabeled = maps(n, 3, 4), maps(m, 3, 4)
    loss = ISALoss()(labeled, unlabeled)
    assert loss.item() == 0 and loss.requires_grad
    loss.backward()
    assert not unlabeled.grad.any()


def test_equal_up_to_scale_is_zero():
    labeled = maps(2, 3, 4)
    assert ISALoss()(labeled, 2.5 * labeled).item() == pytest.approx(0, abs=1e-12)


def test_wrong_arguments():
    with pytest.raises(ValueError, match="labeled and unlabeled"):
        ISALoss()(torch.zeros(2, 3, 4), torch.zeros(2, 4, 4))
