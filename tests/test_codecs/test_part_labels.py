import numpy as np
import pytest
import torch
from mmpose.registry import KEYPOINT_CODECS

from mmpose_da.codecs import PartLabels


@pytest.fixture
def codec():
    return KEYPOINT_CODECS.build(dict(type="PartLabels", input_size=(48, 64)))


def test_joints_are_shown_if_labeled_and_inside(codec):
    points = np.array([[[0, 0], [47, 63], [47.5, 10], [10, -0.5], [20, 20], [5, 5]]])
    visible = np.array([[1, 2, 1, 1, 0, 1]], np.float32)
    known = np.array([[1, 1, 1, 1, 1, 0]], np.float32)
    encoded = codec.encode(points, visible, known)
    np.testing.assert_array_equal(encoded["part_labels"], [[1, 1, 0, 0, 0, 1]])
    np.testing.assert_array_equal(encoded["part_weights"], known)
    np.testing.assert_array_equal(encoded["keypoint_weights"], [[1, 2, 0, 0, 0, 1]])
    assert all(value.dtype == np.float32 for value in encoded.values())
    assert set(encoded) == set(codec.label_mapping_table)


def test_everything_is_known_and_visible_by_default(codec):
    encoded = codec.encode(np.full((1, 3, 2), 7.0))
    for name in ("part_labels", "part_weights", "keypoint_weights"):
        np.testing.assert_array_equal(encoded[name], np.ones((1, 3)))


def test_what_is_not_finite_is_not_shown(codec):
    points = np.array([[[np.nan, 3], [np.inf, 3], [4, 3]]])
    encoded = codec.encode(points)
    np.testing.assert_array_equal(encoded["part_labels"], [[0, 0, 1]])
    assert np.isfinite(encoded["keypoint_labels"]).all()


def test_decoding_inverts_encoding(codec):
    points = np.random.default_rng(0).uniform(0, 47, (2, 5, 2))
    keypoints, scores = codec.decode(codec.encode(points)["keypoint_labels"])
    np.testing.assert_allclose(keypoints, points, atol=1e-5)
    np.testing.assert_array_equal(scores, np.ones((2, 5)))


@pytest.mark.parametrize("stride", [1, 4, 16])
def test_cells_cover_the_input(codec, stride):
    """The center of a cell is the mean of its pixels, in both axes."""
    for axis, size in enumerate(codec.input_size):
        cells = size // stride
        points = np.zeros((1, cells, 2))
        points[0, :, axis] = np.arange(size).reshape(cells, stride).mean(1)
        found = codec.encode(points)["keypoint_labels"][0, :, axis]
        expected = (2 * np.arange(cells) + 1) / cells - 1
        np.testing.assert_allclose(found, expected, atol=1e-6)


def test_a_batch_is_decoded_image_by_image(codec):
    coordinates, scores = torch.rand(3, 5, 2), torch.rand(3, 5)
    keypoints, values = codec.batch_decode(coordinates, scores)
    assert [k.shape for k in keypoints] == [(1, 5, 2)] * 3
    expected, _ = codec.decode(coordinates.numpy())
    np.testing.assert_allclose(np.concatenate(keypoints), expected)
    np.testing.assert_allclose(np.concatenate(values), scores.numpy())


@pytest.mark.parametrize("size", [(64,), (64, 0), (64, 1.5)])
def test_wrong_sizes(size):
    with pytest.raises(ValueError, match="input_size must be positive integers"):
        PartLabels(size)
