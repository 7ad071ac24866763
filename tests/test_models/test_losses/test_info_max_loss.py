import math

import numpy as np
import pytest
import torch
from mmpose.registry import MODELS
from torch import distributed, multiprocessing, nn
from torch.autograd import gradcheck
from torch.nn.parallel import DistributedDataParallel

from mmpose_da.models.losses import EntropyLoss, InfoMaxLoss


def maps(*shape):
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(*shape, generator=generator, dtype=torch.float64)
    return x.requires_grad_()


def peaks(*positions):
    """One joint with all its probability at one of 4 x 5 positions, for each image."""
    heatmaps = torch.zeros(len(positions), 1, 20)
    for heatmap, position in zip(heatmaps, positions, strict=True):
        heatmap[..., position] = 1e4  # the other probabilities underflow to 0
    return heatmaps.view(-1, 1, 4, 5).requires_grad_()


def slow_entropy(p):
    return -sum(x * math.log(x) for x in p)


@pytest.mark.parametrize("temperature", [1.0, 0.1, 3.0])
@pytest.mark.parametrize("diversity_weight", [0.0, 1.0, 0.3])
def test_equals_slow_computation(temperature, diversity_weight):
    heatmaps = maps(3, 2, 4, 5)
    h = heatmaps.detach().numpy().reshape(3, 2, -1)
    entropies, diversities = [], []
    for k in range(2):
        rows = []
        for b in range(3):
            p = np.exp(h[b, k] / temperature)
            rows.append(p / p.sum())
            entropies.append(slow_entropy(rows[-1]))
        diversities.append(slow_entropy(sum(rows) / 3))
    cfg = dict(temperature=temperature, diversity_weight=diversity_weight)
    terms = MODELS.build(dict(type="InfoMaxLoss", **cfg))(heatmaps)
    assert all(term.shape == () for term in terms.values())
    assert terms["entropy"].item() == pytest.approx(np.mean(entropies))
    assert terms["diversity"].item() == pytest.approx(np.mean(diversities))
    expected = np.mean(entropies) - diversity_weight * np.mean(diversities)
    assert terms["loss"].item() == pytest.approx(expected)
    assert not (terms["entropy"].requires_grad or terms["diversity"].requires_grad)


@pytest.mark.parametrize("all_ranks", [True, False])
def test_gradient(all_ranks):
    loss = InfoMaxLoss(0.5, 0.7, all_ranks)
    assert gradcheck(lambda h: loss(h)["loss"], (maps(3, 2, 3, 3),))


def test_without_diversity_it_is_the_entropy():
    heatmaps = maps(3, 2, 4, 5)
    loss = InfoMaxLoss(0.5, diversity_weight=0)(heatmaps)["loss"]
    torch.testing.assert_close(loss, EntropyLoss(0.5)(heatmaps))


@pytest.mark.parametrize(
    "heatmaps, entropy, diversity",
    [
        (peaks(7, 7, 7), 0, 0),
        (peaks(0, 7, 19), 0, math.log(3)),
        (peaks(7, 7, 2, 2), 0, math.log(2)),
        (torch.zeros(3, 1, 4, 5, requires_grad=True), math.log(20), math.log(20)),
    ],
    ids=["same place", "all different", "two places", "uniform"],
)
def test_extremes(heatmaps, entropy, diversity):
    terms = InfoMaxLoss()(heatmaps)
    assert terms["entropy"].item() == pytest.approx(entropy)
    assert terms["diversity"].item() == pytest.approx(diversity)
    assert terms["loss"].item() == pytest.approx(entropy - diversity)
    terms["loss"].backward()
    assert heatmaps.grad.isfinite().all()


def test_one_image_is_as_diverse_as_it_is_certain():
    heatmaps = maps(1, 2, 4, 5)
    loss = InfoMaxLoss()(heatmaps)["loss"]
    loss.backward()
    assert loss.item() == pytest.approx(0, abs=1e-12)
    assert heatmaps.grad.abs().max() < 1e-12


def test_a_step_takes_maps_apart_that_entropy_alone_brings_together():
    """Two almost flat joints that lean to one place, and to another a little less."""

    def peaks_after_training(weight):
        heatmaps = torch.zeros(2, 1, 1, 3)
        heatmaps[:, ..., 0] = 0.2
        heatmaps[1, ..., 2] = 0.15
        heatmaps.requires_grad_()
        for _ in range(200):
            loss = InfoMaxLoss(diversity_weight=weight)(heatmaps)["loss"]
            (grad,) = torch.autograd.grad(loss, heatmaps)
            heatmaps = (heatmaps - grad).detach().requires_grad_()
        return heatmaps.flatten(1).argmax(1).tolist()

    assert peaks_after_training(0.0) == [0, 0]
    assert len(set(peaks_after_training(1.0))) == 2


def test_half_precision_and_autocast_are_computed_in_float32():
    heatmaps = maps(3, 2, 4, 5).detach()
    expected = InfoMaxLoss(0.1)(heatmaps.float())["loss"]
    half = InfoMaxLoss(0.1)(heatmaps.half())["loss"]
    assert half.dtype == torch.float32
    assert half.item() == pytest.approx(expected.item(), abs=1e-2)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(InfoMaxLoss(0.1)(heatmaps.float())["loss"], expected)


@pytest.mark.parametrize("all_ranks", [True, False])
@pytest.mark.parametrize("shape", [(0, 3, 4, 4), (2, 0, 4, 4)])
def test_no_heatmap_gives_zero_with_graph(shape, all_ranks):
    heatmaps = maps(*shape)
    terms = InfoMaxLoss(all_ranks=all_ranks)(heatmaps)
    assert all(term.item() == 0 for term in terms.values())
    assert terms["loss"].requires_grad
    terms["loss"].backward()


def test_wrong_arguments():
    with pytest.raises(ValueError, match="temperature.*0"):
        InfoMaxLoss(temperature=0)
    with pytest.raises(ValueError, match="diversity_weight.*-1"):
        InfoMaxLoss(diversity_weight=-1)
    with pytest.raises(ValueError, match="heatmaps"):
        InfoMaxLoss()(torch.zeros(2, 3, 4))


# Several processes

#: How many of four images each of two processes has.
SHARES = [(2, 2), (3, 1), (4, 0)]


def make_network():
    torch.manual_seed(0)
    return nn.Conv2d(3, 2, 3).double()


def make_images():
    return maps(4, 3, 6, 7).detach()


def run_rank(rank: int, folder: str) -> None:
    distributed.init_process_group(
        "gloo", init_method=f"file://{folder}/store", rank=rank, world_size=2
    )
    network = DistributedDataParallel(make_network())
    results = []
    for all_ranks in (True, False):
        for share in SHARES:
            if 0 in share and not all_ranks:
                continue
            network.zero_grad()
            images = make_images().split(share)[rank]
            terms = InfoMaxLoss(0.5, 0.7, all_ranks)(network(images))
            terms["loss"].backward()
            gradient = network.module.weight.grad.clone()
            results.append({k: v.detach() for k, v in terms.items()} | {"g": gradient})
    torch.save(results, f"{folder}/{rank}.pth")
    distributed.destroy_process_group()


def one_process(*parts):
    """Terms and gradient of one process, averaged over batches."""
    network = make_network()
    terms = [InfoMaxLoss(0.5, 0.7)(network(part)) for part in parts]
    mean = {k: sum(t[k] for t in terms) / len(parts) for k in terms[0]}
    mean["loss"].backward()
    return {k: v.detach() for k, v in mean.items()} | {"g": network.weight.grad}


@pytest.mark.slow
def test_two_processes_are_as_one_with_all_images(tmp_path):
    multiprocessing.spawn(run_rank, args=(str(tmp_path),), nprocs=2)
    first, second = (torch.load(tmp_path / f"{rank}.pth") for rank in (0, 1))
    whole = one_process(make_images())
    for of_rank in (first, second):
        for result in of_rank[: len(SHARES)]:
            torch.testing.assert_close(result, whole)

    # Each process separately: a different result, even with as many images each.
    apart = one_process(*make_images().split(2))
    torch.testing.assert_close(first[len(SHARES)]["g"], apart["g"])
    assert not torch.allclose(apart["g"], whole["g"])
    assert first[len(SHARES)]["loss"] != second[len(SHARES)]["loss"]
