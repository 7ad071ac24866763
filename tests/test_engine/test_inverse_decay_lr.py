import pytest
import torch
from mmengine.optim.scheduler import LinearLR
from mmpose.registry import PARAM_SCHEDULERS

from mmpose_da.engine import InverseDecayLR


def make_optimizer():
    groups = [dict(params=[torch.zeros(1, requires_grad=True)], lr=lr) for lr in (1, 3)]
    return torch.optim.SGD(groups)


def run(optimizer, schedulers, steps):
    """The learning rates of both groups at each step."""
    rates = []
    for _ in range(steps):
        rates.append([group["lr"] for group in optimizer.param_groups])
        optimizer.step()
        for scheduler in schedulers:
            scheduler.step()
    return rates


def test_is_the_formula():
    optimizer = make_optimizer()
    cfg = dict(type="InverseDecayLR", gamma=0.5, power=0.75, by_epoch=False)
    scheduler = PARAM_SCHEDULERS.build(cfg, default_args=dict(optimizer=optimizer))
    for step, rates in enumerate(run(optimizer, [scheduler], 30)):
        factor = (1 + 0.5 * step) ** -0.75
        assert rates == pytest.approx([factor, 3 * factor], rel=1e-9)


def test_defaults_are_those_of_the_paper():
    optimizer = make_optimizer()
    scheduler = InverseDecayLR(optimizer, by_epoch=False)
    first, *_, last = run(optimizer, [scheduler], 1001)
    assert first[0] == 1 and last[0] == pytest.approx(1.1**-0.75)


def test_begins_and_ends_and_chains():
    optimizer = make_optimizer()
    warmup = LinearLR(optimizer, 0.5, begin=0, end=4, by_epoch=False)
    decay = InverseDecayLR(optimizer, 1.0, 1.0, begin=4, end=10, by_epoch=False)
    rates = [rate for rate, _ in run(optimizer, [warmup, decay], 20)]
    assert rates[:5] == pytest.approx([0.5, 0.5 + 1 / 6, 0.5 + 2 / 6, 1, 1])
    assert rates[5:10] == pytest.approx([1 / n for n in range(2, 7)])
    assert rates[12] == rates[19]


def test_resumes():
    optimizer = make_optimizer()
    scheduler = InverseDecayLR(optimizer, 0.1, by_epoch=False)
    run(optimizer, [scheduler], 7)
    state = optimizer.state_dict(), scheduler.state_dict()
    expected = run(optimizer, [scheduler], 3)
    other = make_optimizer()
    resumed = InverseDecayLR(other, 0.1, by_epoch=False)
    other.load_state_dict(state[0])
    resumed.load_state_dict(state[1])
    assert run(other, [resumed], 3) == expected


@pytest.mark.parametrize("kwargs", [dict(gamma=-1.0), dict(power=-0.1)])
def test_negative_decay(kwargs):
    with pytest.raises(ValueError, match="must not be negative"):
        InverseDecayLR(make_optimizer(), **kwargs)
