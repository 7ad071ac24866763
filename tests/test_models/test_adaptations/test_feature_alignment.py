import pytest
import torch
from tiny_model import domain_batch

from mmpose_da.models.adaptations import FeatureAlignment


def test_samples_of_an_image_and_of_a_position():
    batch = domain_batch(source=2, target_unlabeled=2)
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
    batch = domain_batch(source=8, target_unlabeled=8)
    smooth = torch.randn(16, 8, 1, 1) + 0.1 * torch.randn(16, 8, 8, 8)
    batch.features["head"] = smooth  # of the same distribution in both domains
    linear = dict(type="MMDLoss", estimate="linear")
    alignment = FeatureAlignment(loss=linear, sample="position")
    losses = torch.stack([alignment(batch)["loss"] for _ in range(20)])
    everywhere = FeatureAlignment(sample="position")(batch)["loss"]
    assert abs(losses.mean() - everywhere) < 0.15


def test_aligned_domains_have_less_mmd():
    batch = domain_batch(source=16, target_unlabeled=16)
    near = FeatureAlignment()(batch)["loss"]
    batch.features["head"] = batch.features["head"].detach().clone()
    batch.features["head"][16:] += 1
    assert FeatureAlignment()(batch)["loss"] > near + 0.5


def test_wrong_options():
    with pytest.raises(ValueError, match="pixel"):
        FeatureAlignment(sample="pixel")
