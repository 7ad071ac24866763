import math

import numpy as np
import pytest
import torch
from mmengine.logging import MessageHub
from tiny_model import batch as tiny_batch

from mmpose_da.models.adaptations import (
    CAFA,
    IHTA,
    ISA,
    DomainAdversarial,
    EntropyMinimization,
    FeatureAlignment,
    RampUp,
)
from mmpose_da.models.adaptations.ihta import peak_coordinates, relative_spread
from mmpose_da.models.layers import keypoint_features
from mmpose_da.structures import DomainBatch, joint_definition

MPII = joint_definition("MpiiDataset")


def make_batch(channels=8, size=4, **counts):
    images, samples = tiny_batch(**counts)
    total = len(samples)
    features = torch.randn(total, channels, size, size, requires_grad=True)
    heatmaps = torch.rand(total, 16, 16, 16, requires_grad=True)
    return DomainBatch(samples, images, dict(head=features), maps=dict(xy=heatmaps))


def at_iteration(iteration):
    MessageHub.get_current_instance().update_info("iter", iteration)


def test_rampup_curves():
    linear = RampUp(begin=10, end=20)
    assert [linear(i) for i in (0, 10, 15, 20, 99)] == [0, 0, 0.5, 1, 1]
    sigmoid = RampUp(end=100, curve="sigmoid")
    assert sigmoid(0) == 0
    assert sigmoid(50) == pytest.approx(2 / (1 + math.exp(-5)) - 1)


def test_rampup_without_an_end_lasts_for_the_whole_training():
    rampup = RampUp(begin=20)
    assert [rampup(i, max_iters=60) for i in (0, 20, 30, 60)] == [0, 0, 0.25, 1]
    with pytest.raises(ValueError, match="number of iterations"):
        rampup(0)


@pytest.mark.parametrize(
    "kwargs", [dict(end=0), dict(begin=5, end=5), dict(end=9, curve="round")]
)
def test_impossible_rampups(kwargs):
    with pytest.raises(ValueError, match="rampup"):
        RampUp(**kwargs)


def test_weight_follows_the_iteration_of_the_runner():
    batch = make_batch(target_unlabeled=2)
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
    batch = make_batch(source=3, target_unlabeled=3)
    for weight in (1.0, 0.25):
        ihta = IHTA(in_channels=8, metainfo=MPII, weight=weight)
        plain, weighted = ihta.eval().loss(batch), ihta(batch)
        assert plain.keys() == weighted.keys()
        for name, value in plain.items():
            factor = weight if "loss" in name else 1
            torch.testing.assert_close(weighted[name], factor * value)


def test_samples_of_an_image_and_of_a_position():
    batch = make_batch(source=2, target_unlabeled=2)
    features = batch.features["head"]
    pooled = FeatureAlignment(sample="image").samples(features)
    torch.testing.assert_close(pooled, features.mean((2, 3)))
    every = FeatureAlignment(sample="position").samples(features)
    assert every.shape == (64, 8)
    in_place = features.permute(0, 2, 3, 1).reshape(64, 8)
    assert sorted(every.tolist()) == sorted(in_place.tolist())
    assert not torch.equal(every, in_place)
    some = FeatureAlignment(sample="position", max_positions=10).samples(features)
    assert some.shape == (10, 8)
    rows = {tuple(row) for row in every.tolist()}
    assert {tuple(row) for row in some.tolist()} <= rows


def test_linear_mmd_of_positions_does_not_pair_neighboring_pixels():
    """Neighbors are alike, and as pairs they would look like another domain."""
    torch.manual_seed(0)
    batch = make_batch(source=8, target_unlabeled=8)
    smooth = torch.randn(16, 8, 1, 1) + 0.1 * torch.randn(16, 8, 8, 8)
    batch.features["head"] = smooth  # of the same distribution in both domains
    linear = dict(type="MMDLoss", estimate="linear")
    alignment = FeatureAlignment(loss=linear, sample="position")
    losses = torch.stack([alignment(batch)["loss"] for _ in range(20)])
    everywhere = FeatureAlignment(sample="position")(batch)["loss"]
    assert abs(losses.mean() - everywhere) < 0.15


def test_aligned_domains_have_less_mmd():
    batch = make_batch(source=16, target_unlabeled=16)
    near = FeatureAlignment()(batch)["loss"]
    batch.features["head"] = batch.features["head"].detach().clone()
    batch.features["head"][16:] += 1
    assert FeatureAlignment()(batch)["loss"] > near + 0.5


@pytest.mark.parametrize("probability", [0.0, 0.5, 1.0])
def test_cafa_gives_the_head_own_or_exchanged_features(probability):
    torch.manual_seed(0)
    batch = make_batch(source=24, target_unlabeled=24)
    own = batch.features["head"]
    cafa = CAFA(in_channels=8, exchange_prob=probability)
    cafa.neck.source_strength.data.fill_(1.0)
    cafa.neck.target_strength.data.fill_(1.0)
    cafa.adapt(batch)
    exchanged, seen = batch.features["exchanged"], batch.features["head"]
    expected = cafa.neck(own[:24], own[24:])
    torch.testing.assert_close(exchanged, torch.cat(expected))
    is_own = (seen == own).flatten(1).all(1)
    assert ((seen == exchanged).flatten(1).all(1) ^ is_own).all()
    assert abs(is_own.double().mean() - (1 - probability)) < 0.25
    # the loss is on exchanged features, whatever the head receives
    plain = FeatureAlignment().loss(
        DomainBatch(batch.data_samples, batch.images, dict(head=exchanged))
    )
    torch.testing.assert_close(cafa.loss(batch)["loss"], plain["loss"])


def test_isa_compares_heatmaps_or_features():
    batch = make_batch(target_labeled=2, target_unlabeled=2)
    h = batch.maps["xy"].detach().double().numpy().reshape(4, 16, -1)

    def cosine(a, b):
        return (a * b).sum() / np.linalg.norm(a) / np.linalg.norm(b)

    expected = np.mean(
        [1 - cosine(h[i, k], h[i + 2, k]) for i in range(2) for k in range(16)]
    )
    assert ISA()(batch)["loss"].item() == pytest.approx(expected, rel=1e-5)
    assert ISA(compare="feature")(batch)["loss"].item() != pytest.approx(expected)


@pytest.mark.parametrize("weight", [1.0, 3.0])
def test_dann_reverses_the_gradient_of_the_features_alone(weight):
    at_iteration(5)
    adversarial = DomainAdversarial(
        dict(type="GlobalDomainDiscriminator"),
        in_channels=8,
        reversal=0.5,
        weight=weight,
        rampup=dict(end=10),
    )
    batch = make_batch(source=3, target_unlabeled=3)
    terms = adversarial(batch)
    terms["loss"].backward()
    reversed_grad = batch.features["head"].grad.clone()
    own_grad = adversarial.discriminator.layers[0].weight.grad.clone()

    adversarial.zero_grad()
    features = batch.features["head"].detach().requires_grad_()
    logits = adversarial.discriminator(features)
    loss = adversarial.loss_module(logits[:3], logits[3:])
    loss.backward()
    torch.testing.assert_close(terms["loss"], weight * loss)  # without the ramp
    torch.testing.assert_close(reversed_grad, -0.25 * weight * features.grad)
    torch.testing.assert_close(
        own_grad, weight * adversarial.discriminator.layers[0].weight.grad
    )
    correct = torch.cat([logits[:3] > 0, logits[3:] <= 0]).double().mean()
    assert terms["accuracy"] == correct


def make_ihta(threshold=-1.0, **kwargs):
    return IHTA(
        head=dict(type="TopologyHead", channels=8, num_blocks=1, out_channels=4),
        loss=dict(type="IHTALoss", threshold=threshold),
        in_channels=8,
        metainfo=MPII,
        **kwargs,
    )


def test_ihta_aligns_all_pairs_at_threshold_minus_one():
    torch.manual_seed(0)
    ihta, batch = make_ihta().eval(), make_batch(source=2, target_unlabeled=3)
    terms = ihta(batch)
    g = ihta.head(keypoint_features(batch.features["head"], batch.maps["xy"]))
    pairs = [(g[s] - g[t]).square().mean() for s in (0, 1) for t in (2, 3, 4)]
    torch.testing.assert_close(terms["loss_align"], torch.stack(pairs).mean())
    assert terms["positive_share"] == 1


def test_ihta_without_positive_pairs_still_has_a_graph():
    ihta, batch = make_ihta(threshold=1.0), make_batch(source=2, target_unlabeled=2)
    terms = ihta(batch)
    assert terms["loss_align"] == 0 and terms["positive_share"] == 0
    sum(v for k, v in terms.items() if "loss" in k).backward()
    assert all(
        p.grad is not None and p.grad.isfinite().all() for p in ihta.parameters()
    )


def test_readout_error_counts_labelled_joints_only():
    torch.manual_seed(1)
    ihta = make_ihta(readout_weight=2.0).eval()
    batch = make_batch(source=2, target_labeled=1, target_unlabeled=1)
    terms = ihta(batch)
    g = ihta.head(keypoint_features(batch.features["head"], batch.maps["xy"]))
    read = ihta.head.readout(g).detach().double().numpy()
    total, count = 0.0, 0.0
    for i in range(3):
        sample = batch.data_samples[i]
        maps = sample.gt_fields.heatmaps.numpy()
        for k in range(16):
            weight = sample.gt_instance_labels.keypoint_weights[0, k].item()
            y, x = np.unravel_index(maps[k].argmax(), maps[k].shape)
            error = read[i, k] - np.array([x / 15, y / 15])
            total, count = total + weight * (error**2).sum(), count + weight
    assert terms["loss_readout"].item() == pytest.approx(2 * total / count, rel=1e-5)
    assert "loss_readout" not in make_ihta(readout_weight=0.0)(batch)


def test_the_readout_keeps_the_topology_from_collapsing():
    """Alignment alone removes the spread of g; the readout keeps it."""

    def spread_after_training(readout_weight):
        torch.manual_seed(0)
        ihta = make_ihta(readout_weight=readout_weight)
        batch = make_batch(source=8, target_unlabeled=8)
        batch.maps["xy"] = batch.maps["xy"].detach()
        for i, sample in enumerate(batch.data_samples[:8]):
            sample.gt_instance_labels.keypoint_weights.fill_(1.0)
            # features tell the pose: they are the labels' own heatmaps
            batch.maps["xy"][i] = sample.gt_fields.heatmaps
        batch.features["head"] = batch.maps["xy"][:, :8].detach()
        optimizer = torch.optim.Adam(ihta.parameters(), lr=1e-2)
        for _ in range(120):
            optimizer.zero_grad()
            terms = ihta(batch)
            sum(v for k, v in terms.items() if "loss" in k).backward()
            optimizer.step()
        return terms["spread"].item()

    assert spread_after_training(0.0) < 0.5 * spread_after_training(10.0)


def test_peaks_and_spread():
    heatmaps = torch.zeros(1, 2, 5, 9)
    heatmaps[0, 0, 4, 8] = heatmaps[0, 1, 2, 0] = 1
    assert peak_coordinates(heatmaps).tolist() == [[[1, 1], [0, 0.5]]]
    constant = torch.ones(4, 3, 2)
    assert relative_spread(constant) == 0
    assert relative_spread(torch.randn(1000, 3, 2)) == pytest.approx(1, abs=0.05)


@pytest.mark.parametrize(
    "make",
    [
        lambda: FeatureAlignment(sample="pixel"),
        lambda: ISA(compare="pixel"),
        lambda: CAFA(in_channels=8, exchange_prob=1.5),
    ],
)
def test_wrong_options(make):
    with pytest.raises(ValueError, match="pixel|1.5"):
        make()
