import math

import numpy as np
import pytest
import torch
from mmpose.registry import MODELS
from torch.autograd import gradcheck

from mmpose_da.models.losses import EntropyLoss


def maps(*shape):
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(*shape, generator=generator, dtype=torch.float64)
    return x.requires_grad_()


@pytest.mark.parametrize("temperature", [1.0, 0.1, 3.0])
def test_equals_slow_computation(temperature):
    heatmaps = maps(2, 3, 4, 5)
    entropies = []
    for h in heatmaps.detach().numpy().reshape(6, -1):
        p = np.exp(h / temperature)
        p /= p.sum()
        entropies.append(-sum(x * np.log(x) for x in p))
    loss = MODELS.build({"type": "EntropyLoss", "temperature": temperature})(heatmaps)
    assert loss.shape == ()
    assert loss.item() == pytest.approx(np.mean(entropies))


def test_gradient():
    assert gradcheck(EntropyLoss(0.5), (maps(2, 2, 3, 3),))


def test_flat_and_sharp_heatmaps():
    flat, sharp = torch.zeros(1, 1, 4, 5), torch.zeros(1, 1, 4, 5)
    sharp[..., 1, 2] = 1e4  # the other probabilities underflow to 0
    assert EntropyLoss()(flat).item() == pytest.approx(math.log(20))
    sharp.requires_grad_()
    loss = EntropyLoss()(sharp)
    loss.backward()
    assert loss.item() == 0 and sharp.grad.isfinite().all()


@pytest.mark.parametrize("shape", [(0, 3, 4, 4), (2, 0, 4, 4)])
def test_no_heatmap_gives_zero_with_graph(shape):
    heatmaps = maps(*shape)
    loss = EntropyLoss()(heatmaps)
    assert loss.item() == 0 and loss.requires_grad
    loss.backward()


def test_wrong_arguments():
    with pytest.raises(ValueError, match="temperature.*0"):
        EntropyLoss(temperature=0)
    with pytest.raises(ValueError, match="heatmaps"):
        EntropyLoss()(torch.zeros(2, 3, 4))
