import numpy as np
import pytest
import torch
from mmpose.registry import MODELS
from torch.autograd import gradcheck

from mmpose_da.models.layers import PLANES, marginal_gaussians, plane_shape
from mmpose_da.models.losses import MarginalKLLoss

SIZE = (5, 4, 3)
WEIGHTS = torch.tensor([[1, 0.5, 0, 1], [0, 0, 1, 0.25]], dtype=torch.float64)
DEPTH_WEIGHTS = torch.tensor([[1, 0.5, 1, 0], [1, 1, 0.5, 0]], dtype=torch.float64)


def random_logits(batch=2, joints=4, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return {
        plane: torch.randn(
            batch,
            joints,
            *plane_shape(plane, SIZE),
            generator=generator,
            dtype=torch.float64,
        ).requires_grad_()
        for plane in PLANES
    }


def random_targets(batch=2, joints=4, seed=1):
    generator = torch.Generator().manual_seed(seed)
    unit = torch.rand(batch, joints, 3, generator=generator, dtype=torch.float64)
    return marginal_gaussians(2 * unit - 1, SIZE, 1.0)


def slow_loss(logits, targets, weights, depth_weights):
    total = 0.0
    for plane in logits:
        h, y = logits[plane].detach().numpy(), targets[plane].numpy()
        terms, count = 0.0, 0
        for b, k in np.ndindex(*h.shape[:2]):
            weight = weights[b, k].item()
            if plane != "xy":
                weight *= depth_weights[b, k].item()
            if weight > 0:
                p = np.exp(h[b, k]) / np.exp(h[b, k]).sum()
                terms += weight * sum(
                    y[b, k][cell] * np.log(y[b, k][cell] / p[cell])
                    for cell in np.ndindex(*p.shape)
                )
                count += 1
        total += terms / max(count, 1)
    return total


def with_cells(logits):
    """Logits by plane as a list, for gradcheck, and the function that undoes it."""
    return list(logits.values()), lambda *values: dict(zip(PLANES, values, strict=True))


def test_equals_slow_computation():
    logits, targets = random_logits(), random_targets()
    loss = MODELS.build(dict(type="MarginalKLLoss"))
    value = loss(logits, targets, WEIGHTS, DEPTH_WEIGHTS)
    expected = slow_loss(logits, targets, WEIGHTS, DEPTH_WEIGHTS)
    assert value.shape == () and value.item() == pytest.approx(expected)
    halved = MarginalKLLoss(loss_weight=0.5)
    halved = halved(logits, targets, WEIGHTS, DEPTH_WEIGHTS)
    assert halved.item() == pytest.approx(0.5 * expected)


def test_gradient():
    targets = random_targets()
    values, by_plane = with_cells(random_logits())
    assert gradcheck(
        lambda *v: MarginalKLLoss()(by_plane(*v), targets, WEIGHTS, DEPTH_WEIGHTS),
        values,
    )


def test_gradient_is_the_difference_of_the_maps():
    """Of KL(Y || softmax(x)) it is softmax(x) - Y."""
    logits, targets = random_logits(1, 1), random_targets(1, 1)
    MarginalKLLoss()(logits, targets, torch.ones(1, 1), torch.ones(1, 1)).backward()
    for plane in PLANES:
        h = logits[plane].detach().flatten(2).softmax(-1).view_as(logits[plane])
        torch.testing.assert_close(logits[plane].grad, h - targets[plane])


def test_no_gradient_to_the_targets():
    coordinates = torch.zeros(2, 4, 3, dtype=torch.float64, requires_grad=True)
    targets = marginal_gaussians(coordinates, SIZE, 1.0)
    MarginalKLLoss()(random_logits(), targets, WEIGHTS, DEPTH_WEIGHTS).backward()
    assert coordinates.grad is None


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_equal_maps_are_zero_and_others_are_not(dtype):
    # With 32 cells, float32 has cells where the target is exactly 0 and its log -inf.
    targets = marginal_gaussians(
        torch.tensor([[[0.9, 0, -0.9], [0, 0.3, 0]]], dtype=dtype), (32, 32, 32), 1.0
    )
    logits = {plane: y.log().requires_grad_() for plane, y in targets.items()}
    ones = torch.ones(1, 2, dtype=dtype)
    loss = MarginalKLLoss()(logits, targets, ones, ones)
    assert loss.item() == pytest.approx(0, abs=1e-5)
    loss.backward()
    for plane in PLANES:
        assert logits[plane].grad.abs().max() < 1e-6  # false for NaN
        moved = {**targets, plane: targets[plane].roll(1, dims=-1)}
        assert MarginalKLLoss()(logits, moved, ones, ones) > 0.1


def test_weights_choose_joints_and_planes():
    logits, targets = random_logits(), random_targets()
    MarginalKLLoss()(logits, targets, WEIGHTS, DEPTH_WEIGHTS).backward()
    for plane in PLANES:
        weight = WEIGHTS if plane == "xy" else WEIGHTS * DEPTH_WEIGHTS
        reached = logits[plane].grad.flatten(2).any(-1)
        assert torch.equal(reached, weight > 0)


def test_targets_without_weight_may_be_anything():
    logits, targets = random_logits(), random_targets()
    expected = MarginalKLLoss()(logits, targets, WEIGHTS, DEPTH_WEIGHTS)
    for plane, values in targets.items():
        weight = WEIGHTS if plane == "xy" else WEIGHTS * DEPTH_WEIGHTS
        values[weight == 0] = torch.nan
    loss = MarginalKLLoss()(logits, targets, WEIGHTS, DEPTH_WEIGHTS)
    assert loss == expected
    loss.backward()
    assert all(values.grad.isfinite().all() for values in logits.values())


@pytest.mark.parametrize("batch", [0, 2])
def test_empty_selection_is_zero_with_a_graph(batch):
    logits, targets = random_logits(batch), random_targets(batch)
    none = torch.zeros(batch, 4)
    loss = MarginalKLLoss()(logits, targets, none, torch.ones(batch, 4))
    assert loss.item() == 0 and loss.requires_grad
    loss.backward()
    assert not any(values.grad.any() for values in logits.values())


def test_joints_without_depth_leave_the_plane_of_the_image():
    logits, targets = random_logits(), random_targets()
    ones, none = torch.ones(2, 4), torch.zeros(2, 4)
    loss = MarginalKLLoss()(logits, targets, ones, none)
    only = slow_loss(dict(xy=logits["xy"]), targets, ones, none)
    assert loss.item() == pytest.approx(only)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision(dtype):
    targets = {plane: y.float() for plane, y in random_targets().items()}
    logits = {plane: (20 * x).to(dtype) for plane, x in random_logits().items()}
    loss = MarginalKLLoss()(logits, targets, WEIGHTS.to(dtype), DEPTH_WEIGHTS.to(dtype))
    assert loss.dtype == torch.float32
    as_float = {plane: x.double() for plane, x in logits.items()}
    expected = slow_loss(as_float, targets, WEIGHTS, DEPTH_WEIGHTS)
    assert loss.item() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("plane", PLANES)
def test_wrong_shapes(plane):
    logits, targets = random_logits(), random_targets()
    cut = {**targets, plane: targets[plane][..., 1:]}
    with pytest.raises(ValueError, match=f"'{plane}' must have one shape"):
        MarginalKLLoss()(logits, cut, WEIGHTS, DEPTH_WEIGHTS)
    with pytest.raises(ValueError, match="weights and depth_weights"):
        MarginalKLLoss()(logits, targets, WEIGHTS, DEPTH_WEIGHTS[:1])
