import math

import pytest
import torch
from mmengine.logging import MessageHub
from tiny_model import domain_batch

from mmpose_da.models.adaptations import IHTA, EntropyMinimization, RampUp
from mmpose_da.structures import joint_definition

MPII = joint_definition("MpiiDataset")


def at_iteration(iteration):
    MessageHub.get_current_instance().update_info("iter", iteration)


def test_rampup_curves():
    linear = RampUp(begin=10, end=20)
    assert [linear(i) for i in (0, 10, 15, 20, 99)] == [0, 0, 0.5, 1, 1]
    sigmoid = RampUp(end=100, curve="sigmoid")
    assert sigmoid(0) == 0
    assert sigmoid(50) == pytest.approx(2 / (1 + math.exp(-5)) - 1)


def test_rampup_without_an_end_lasts_for_the_whole_run():
    rampup = RampUp(begin=20)
    assert [rampup(i, max_iters=60) for i in (0, 20, 30, 60)] == [0, 0, 0.25, 1]
    with pytest.raises(ValueError, match="number of iterations"):
        rampup(0)


def test_rampup_over_a_share_of_the_run():
    rampup = RampUp(begin=10, end=0.5)
    assert [rampup(i, max_iters=60) for i in (10, 15, 30, 60)] == [0, 0.25, 1, 1]
    assert [rampup(i, max_iters=220) for i in (10, 60, 110)] == [0, 0.5, 1]
    assert RampUp(end=1.0)(30, max_iters=60) == 0.5
    last_third = RampUp(begin=2 / 3)
    assert [last_third(i, max_iters=60) for i in (39, 50, 60)] == [0, 0.5, 1]
    with pytest.raises(ValueError, match="number of iterations"):
        RampUp(begin=0.5, end=20)(10)
    with pytest.raises(ValueError, match="number of iterations"):
        rampup(0)


@pytest.mark.parametrize(
    "kwargs",
    [
        *(dict(end=0), dict(begin=5, end=5), dict(end=9, curve="round")),
        *(dict(end=0.0), dict(end=1.5), dict(begin=-1, end=0.5)),
        *(dict(begin=0.5, end=0.5), dict(begin=1.0), dict(begin=1.5)),
    ],
)
def test_impossible_rampups(kwargs):
    with pytest.raises(ValueError, match="rampup"):
        RampUp(**kwargs)


def test_weight_follows_the_iteration_of_the_runner():
    batch = domain_batch(target_unlabeled=2)
    MessageHub.get_current_instance().update_info("max_iters", 20)
    over_training = EntropyMinimization(rampup=dict(curve="linear"))
    ramped = EntropyMinimization(weight=0.5, rampup=dict(end=10))
    full = EntropyMinimization()(batch)["loss"]
    for iteration, factor in ((0, 0.0), (4, 0.2), (10, 0.5), (50, 0.5)):
        at_iteration(iteration)
        torch.testing.assert_close(ramped(batch)["loss"], factor * full)
    at_iteration(5)
    torch.testing.assert_close(over_training(batch)["loss"], 0.25 * full)


def test_weight_is_a_factor_of_losses_and_not_of_diagnostics():
    torch.manual_seed(0)
    batch = domain_batch(source=3, target_unlabeled=3)
    for weight in (1.0, 0.25):
        ihta = IHTA(in_channels=8, metainfo=MPII, weight=weight)
        plain, weighted = ihta.eval().loss(batch), ihta(batch)
        assert plain.keys() == weighted.keys()
        for name, value in plain.items():
            factor = weight if "loss" in name else 1
            torch.testing.assert_close(weighted[name], factor * value)
