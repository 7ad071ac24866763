import numpy as np
import pytest
import torch
from torch.autograd import gradcheck

from mmpose_da.models.losses import KeypointKLLoss


def make(batch=2, joints=3, size=(4, 5)):
    generator = torch.Generator().manual_seed(0)
    logits, target = (
        torch.randn(batch, joints, *size, generator=generator, dtype=torch.float64)
        for _ in range(2)
    )
    target = target.clamp(min=0)  # a third of the cells or so is exactly 0
    weights = torch.tensor([[1.0, 0.5, 0.0], [0.0, 1.0, 2.0]], dtype=torch.float64)
    return logits.requires_grad_(), target, weights[:batch, :joints]


def slow_loss(logits, target, weights):
    logits, target = logits.detach().numpy(), target.numpy()
    losses = []
    for b, k in np.ndindex(*logits.shape[:2]):
        p = np.exp(logits[b, k]) / np.exp(logits[b, k]).sum()
        y = target[b, k] / target[b, k].sum()
        divergence = sum(
            y[cell] * (np.log(y[cell]) - np.log(p[cell]))
            for cell in np.ndindex(*y.shape)
            if y[cell] > 0
        )
        losses.append(float(weights[b, k]) * divergence)
    return np.mean(losses)


def test_equals_slow_computation():
    logits, target, weights = make()
    loss = KeypointKLLoss(loss_weight=2.0)(logits, target, weights)
    assert loss.item() == pytest.approx(2 * slow_loss(logits, target, weights), 1e-12)
    ones = torch.ones_like(weights)
    unweighted = KeypointKLLoss(use_target_weight=False)(logits, target)
    assert unweighted.item() == pytest.approx(slow_loss(logits, target, ones), 1e-12)


def test_gradient():
    logits, target, weights = make()
    assert gradcheck(lambda x: KeypointKLLoss()(x, target, weights), (logits,))


def test_is_zero_where_the_softmax_is_the_target_whatever_its_height():
    _, target, weights = make()
    target = target + 0.1
    logits = target.log() + 7.0
    loss = KeypointKLLoss()(logits, 3 * target, weights)
    assert loss.item() == pytest.approx(0, abs=1e-12)


def test_a_joint_without_a_heatmap_adds_nothing():
    logits, target, weights = make()
    target[0, 2] = 0  # of weight 0, as MMPose's codecs make it
    target[1, 2] = 0
    loss = KeypointKLLoss()(logits, target, weights)
    loss.backward()
    weights[1, 2] = 0
    target[0, 2] = target[1, 2] = 1
    assert loss.item() == pytest.approx(slow_loss(logits, target, weights), 1e-12)
    assert logits.grad.isfinite().all() and not logits.grad[1, 2].any()


def test_no_images():
    logits = torch.zeros(0, 3, 4, 5, requires_grad=True)
    loss = KeypointKLLoss()(logits, torch.zeros(0, 3, 4, 5), torch.zeros(0, 3))
    loss.backward()
    assert loss == 0


def test_shapes_and_weights_are_checked():
    logits, target, weights = make()
    with pytest.raises(ValueError, match=r"got \(2, 3, 4, 5\), \(2, 3, 4, 4\)"):
        KeypointKLLoss()(logits, target[..., :4], weights)
    with pytest.raises(ValueError, match=r"\(2, 2\)"):
        KeypointKLLoss()(logits, target, weights[:, :2])
    with pytest.raises(ValueError, match="use_target_weight=False"):
        KeypointKLLoss()(logits, target)
