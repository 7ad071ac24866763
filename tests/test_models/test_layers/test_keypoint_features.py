import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch.autograd import gradcheck

from mmpose_da.models.layers import keypoint_confidence, keypoint_features


def random(*shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


def slow_features(features, heatmaps):
    """Of heatmaps that are a whole number of times larger than the features."""
    features, heatmaps = features.numpy(), heatmaps.numpy()
    batch, channels, h, w = features.shape
    a, b = heatmaps.shape[2] // h, heatmaps.shape[3] // w
    result = np.zeros((batch, heatmaps.shape[1], channels))
    for n in range(batch):
        for k in range(heatmaps.shape[1]):
            total = 0.0
            for y in range(h):
                for x in range(w):
                    block = heatmaps[n, k, y * a : (y + 1) * a, x * b : (x + 1) * b]
                    weight = np.maximum(block, 0).mean()
                    result[n, k] += weight * features[n, :, y, x]
                    total += weight
            if total:
                result[n, k] /= total
    return result


@pytest.mark.parametrize("size", [(4, 3), (8, 6), (4, 9)])
def test_equals_slow_computation(size):
    features, heatmaps = random(2, 5, 4, 3), random(2, 6, *size, seed=1)
    heatmaps[1, 2] = 0
    heatmaps[1, 3] = -1
    result = keypoint_features(features, heatmaps)
    assert result.shape == (2, 6, 5)
    np.testing.assert_allclose(result, slow_features(features, heatmaps), atol=1e-12)
    assert not result[1, 2:4].any()


def test_larger_features_interpolate_the_heatmaps():
    features, heatmaps = random(2, 5, 8, 6), random(2, 3, 4, 3, seed=1)
    larger = F.interpolate(heatmaps.clamp(min=0), size=(8, 6), mode="bilinear")
    np.testing.assert_allclose(
        keypoint_features(features, heatmaps),
        slow_features(features, larger),
        atol=1e-12,
    )


def test_parallel_to_the_pooled_outer_product():
    features, heatmaps = random(2, 5, 4, 3), random(2, 6, 4, 3, seed=1).abs()
    pooled = (features[:, None] * heatmaps[:, :, None]).mean(dim=(3, 4))
    cosine = F.cosine_similarity(keypoint_features(features, heatmaps), pooled, dim=-1)
    torch.testing.assert_close(cosine, torch.ones_like(cosine))


def test_one_position_is_read_exactly():
    features, heatmaps = random(1, 5, 4, 3), torch.zeros(1, 1, 4, 3).double()
    heatmaps[0, 0, 2, 1] = 0.7
    torch.testing.assert_close(
        keypoint_features(features, heatmaps)[0, 0], features[0, :, 2, 1]
    )


def test_gradient():
    features = random(2, 3, 2, 2).requires_grad_()
    heatmaps = random(2, 2, 4, 4, seed=1).requires_grad_()
    assert gradcheck(keypoint_features, (features, heatmaps))


@pytest.mark.parametrize("batch", [0, 2])
@pytest.mark.parametrize("size", [(4, 4), (8, 8), (2, 2)])
def test_nothing_to_see_gives_zero_with_graph(batch, size):
    features = random(batch, 3, 4, 4).requires_grad_()
    heatmaps = torch.zeros(batch, 2, *size).double().requires_grad_()
    result = keypoint_features(features, heatmaps)
    assert result.shape == (batch, 2, 3)
    assert not result.any() and result.requires_grad
    result.sum().backward()
    assert not features.grad.any() and heatmaps.grad.isfinite().all()


def test_no_tensor_of_every_joint_channel_and_position():
    features = torch.randn(2, 64, 16, 12, requires_grad=True)
    heatmaps = torch.rand(2, 17, 16, 12, requires_grad=True)
    saved = []
    with torch.autograd.graph.saved_tensors_hooks(
        lambda x: saved.append(x.numel()) or x, lambda x: x
    ):
        keypoint_features(features, heatmaps)
    assert max(saved) <= features.numel()


def test_confidence_is_the_peak():
    heatmaps = random(3, 4, 5, 6).requires_grad_()
    with torch.no_grad():
        heatmaps[1, 2] = -1
    confidence = keypoint_confidence(heatmaps)
    assert not confidence.requires_grad
    values = heatmaps.detach().numpy()
    for n in range(3):
        for k in range(4):
            assert confidence[n, k].item() == max(values[n, k].max(), 0)
    assert keypoint_confidence(heatmaps[:0]).shape == (0, 4)


def test_wrong_arguments():
    with pytest.raises(ValueError, match="features and heatmaps"):
        keypoint_features(torch.zeros(2, 3, 4, 4), torch.zeros(1, 3, 4, 4))
    with pytest.raises(ValueError, match="heatmaps"):
        keypoint_confidence(torch.zeros(2, 3, 4))
