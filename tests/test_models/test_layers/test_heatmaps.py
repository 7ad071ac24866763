import numpy as np
import pytest
import torch
from mmpose.codecs import MSRAHeatmap

from mmpose_da.models.layers import gaussian_heatmaps, heatmap_peaks


def test_gaussians_are_those_of_mmpose_within_its_cut():
    codec = MSRAHeatmap(
        input_size=(64, 48), heatmap_size=(32, 24), sigma=2, unbiased=True
    )
    keypoints = np.array([[[20.0, 11.0], [51.3, 40.2]]], np.float32)
    theirs = codec.encode(keypoints)["heatmaps"]
    points = torch.from_numpy(keypoints / codec.scale_factor)
    ours = gaussian_heatmaps(points, (24, 32), sigma=2)[0].numpy()
    within = theirs > 0
    np.testing.assert_allclose(ours[within], theirs[within], atol=1e-5)
    assert ours[~within].max() < np.exp(-(3**2) / 2) + 1e-6


@pytest.mark.parametrize("sigma", [1.0, 2.0])
def test_peak_of_a_gaussian_is_found_exactly(sigma):
    torch.manual_seed(0)
    points = 3 + 10 * torch.rand(4, 5, 2)
    peaks, confidence = heatmap_peaks(0.7 * gaussian_heatmaps(points, (16, 18), sigma))
    torch.testing.assert_close(peaks, points, atol=1e-3, rtol=0)
    assert ((confidence > 0.5) & (confidence <= 0.7)).all()


def test_peak_at_a_border_stays_there():
    corners = torch.tensor([[[0.0, 0.0], [11.0, 7.0], [-3.0, 4.0]]])
    peaks, _ = heatmap_peaks(gaussian_heatmaps(corners, (8, 12), 2.0))
    expected = torch.tensor([[[0.0, 0.0], [11.0, 7.0], [0.0, 4.0]]])
    torch.testing.assert_close(peaks, expected, atol=1e-3, rtol=0)


@pytest.mark.parametrize("value", [0.0, 1.0, -2.0])
def test_flat_heatmaps_have_a_finite_peak(value):
    peaks, confidence = heatmap_peaks(torch.full((1, 2, 5, 6), value))
    assert torch.isfinite(peaks).all()
    assert (confidence == value).all()


def test_offset_is_at_most_half_a_pixel():
    heatmaps = torch.randn(8, 4, 9, 7)
    peaks, _ = heatmap_peaks(heatmaps)
    index = heatmaps.flatten(2).argmax(-1)
    whole = torch.stack([index % 7, index // 7], dim=-1)
    assert (peaks - whole).abs().max() <= 0.5
