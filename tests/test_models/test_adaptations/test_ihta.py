import numpy as np
import pytest
import torch
from tiny_model import domain_batch

from mmpose_da.models.adaptations import IHTA
from mmpose_da.models.adaptations.ihta import peak_coordinates, relative_spread
from mmpose_da.models.layers import keypoint_features
from mmpose_da.structures import joint_definition

MPII = joint_definition("MpiiDataset")


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
    ihta, batch = make_ihta().eval(), domain_batch(source=2, target_unlabeled=3)
    terms = ihta(batch)
    g = ihta.head(keypoint_features(batch.features["head"], batch.maps["xy"]))
    pairs = [(g[s] - g[t]).square().mean() for s in (0, 1) for t in (2, 3, 4)]
    torch.testing.assert_close(terms["loss_align"], torch.stack(pairs).mean())
    assert terms["positive_share"] == 1


def test_ihta_without_positive_pairs_still_has_a_graph():
    ihta, batch = make_ihta(threshold=1.0), domain_batch(source=2, target_unlabeled=2)
    terms = ihta(batch)
    assert terms["loss_align"] == 0 and terms["positive_share"] == 0
    sum(v for k, v in terms.items() if "loss" in k).backward()
    assert all(
        p.grad is not None and p.grad.isfinite().all() for p in ihta.parameters()
    )


def test_readout_error_counts_labeled_joints_only():
    torch.manual_seed(1)
    ihta = make_ihta(readout_weight=2.0).eval()
    batch = domain_batch(source=2, target_labeled=1, target_unlabeled=1)
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
        batch = domain_batch(source=8, target_unlabeled=8)
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
