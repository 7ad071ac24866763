import numpy as np
import pytest
import torch
from mmpose.registry import MODELS
from torch.autograd import gradcheck

from mmpose_da.models.losses import MMDLoss, mean_squared_distance

MULTIPLIERS = (0.25, 0.5, 1.0, 2.0, 4.0)


def samples(n, m, dim=3, shift=0.5, seed=0):
    generator = torch.Generator().manual_seed(seed)
    source = torch.randn(n, dim, generator=generator, dtype=torch.float64)
    target = torch.randn(m, dim, generator=generator, dtype=torch.float64) + shift
    return source.requires_grad_(), target.requires_grad_()


def slow_bandwidth(source, target):
    z = list(source) + list(target)
    pairs = [(i, j) for i in range(len(z)) for j in range(i)]
    return sum(((z[i] - z[j]) ** 2).sum() for i, j in pairs) / len(pairs)


def slow_mmd(source, target, estimate):
    s, t = source.detach().numpy(), target.detach().numpy()
    sigma = slow_bandwidth(s, t)

    def k(x, y):
        return sum(np.exp(-((x - y) ** 2).sum() / (u * sigma)) for u in MULTIPLIERS)

    n, m = len(s), len(t)
    if estimate == "quadratic":
        ss = sum(k(s[i], s[j]) for i in range(n) for j in range(n) if i != j)
        tt = sum(k(t[i], t[j]) for i in range(m) for j in range(m) if i != j)
        st = sum(k(x, y) for x in s for y in t)
        return ss / (n * (n - 1)) + tt / (m * (m - 1)) - 2 * st / (n * m)
    h = []
    i = 0
    while i + 1 < min(n, m):
        h.append(
            k(s[i], s[i + 1])
            + k(t[i], t[i + 1])
            - k(s[i], t[i + 1])
            - k(s[i + 1], t[i])
        )
        i += 2
    return sum(h) / len(h)


@pytest.mark.parametrize("n, m", [(2, 2), (7, 5), (4, 9), (3, 2)])
@pytest.mark.parametrize("estimate", ["quadratic", "linear"])
def test_equals_slow_computation(n, m, estimate):
    source, target = samples(n, m)
    loss = MODELS.build({"type": "MMDLoss", "estimate": estimate})(source, target)
    assert loss.shape == () and loss.dtype == torch.float64
    assert loss.item() == pytest.approx(slow_mmd(source, target, estimate), abs=1e-12)


def test_bandwidth_equals_slow_computation():
    source, target = samples(6, 4, shift=100.0)
    expected = slow_bandwidth(source.detach().numpy(), target.detach().numpy())
    assert mean_squared_distance(source, target).item() == pytest.approx(expected)


@pytest.mark.parametrize("estimate", ["quadratic", "linear"])
def test_gradient_with_constant_bandwidth(estimate):
    source, target = samples(5, 4)
    loss = MMDLoss(estimate=estimate)
    sigma = mean_squared_distance(source, target).detach()
    fixed = getattr(loss, f"_{estimate}")
    assert gradcheck(lambda s, t: fixed(s, t, sigma), (source, target))
    through = torch.autograd.grad(loss(source, target), (source, target))
    direct = torch.autograd.grad(fixed(source, target, sigma), (source, target))
    torch.testing.assert_close(through, direct)


def test_falls_with_the_distance_of_the_domains_and_may_be_negative():
    loss = MMDLoss()
    far, near = (loss(*samples(64, 64, shift=s)).item() for s in (2.0, 0.5))
    assert far > near > 0
    assert min(loss(*samples(8, 8, shift=0.0, seed=s)).item() for s in range(9)) < 0


@pytest.mark.parametrize("estimate", ["quadratic", "linear"])
@pytest.mark.parametrize("n, m", [(0, 0), (0, 5), (1, 5), (5, 1), (1, 1), (5, 0)])
def test_too_few_samples_give_zero_with_graph(n, m, estimate):
    source, target = samples(n, m)
    loss = MMDLoss(estimate=estimate)(source, target)
    assert loss.item() == 0 and loss.requires_grad
    loss.backward()
    assert not source.grad.any() and not target.grad.any()


@pytest.mark.parametrize("estimate", ["quadratic", "linear"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_identical_samples_give_zero_with_graph(estimate, dtype):
    source = torch.full((3, 5), 1 / 3, dtype=dtype, requires_grad=True)
    target = torch.full((4, 5), 1 / 3, dtype=dtype, requires_grad=True)
    loss = MMDLoss(estimate=estimate)(source, target)
    assert loss.item() == 0 and loss.requires_grad
    loss.backward()
    assert not source.grad.any() and not target.grad.any()


def test_tight_clusters_far_from_the_origin_stay_exact():
    source, target = samples(6, 6)
    moved = [(x.detach() * 1e-2 + 100).float() for x in (source, target)]
    exact = slow_mmd(*(x.double() for x in moved), "quadratic")
    assert MMDLoss()(*moved).item() == pytest.approx(exact, abs=1e-4)


def test_half_precision_and_autocast_are_computed_in_float32():
    source, target = (x.detach() for x in samples(8, 8))
    expected = MMDLoss()(source.float(), target.float())
    half = MMDLoss()(source.half(), target.half())
    assert half.dtype == torch.float32
    assert half.item() == pytest.approx(expected.item(), abs=1e-2)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(MMDLoss()(source.float(), target.float()), expected)


def test_wrong_arguments():
    with pytest.raises(ValueError, match="multipliers.*0"):
        MMDLoss(multipliers=(1.0, 0.0))
    with pytest.raises(ValueError, match="estimate.*'cubic'"):
        MMDLoss(estimate="cubic")
    with pytest.raises(ValueError, match=r"source and target.*\(2, 4\)"):
        MMDLoss()(torch.zeros(2, 3), torch.zeros(2, 4))
