import numpy as np
import pytest
import torch
from mmpose.datasets.transforms import GenerateTarget, PackPoseInputs
from mmpose.registry import KEYPOINT_CODECS

from mmpose_da.codecs import MarginalHeatmap

CONFIG = dict(
    type="MarginalHeatmap",
    input_size=(192, 256),
    heatmap_size=(24, 32, 16),
    depth_range=160,
)


def build(**kwargs):
    return KEYPOINT_CODECS.build({**CONFIG, **kwargs})


def random_keypoints(n=2, k=5, seed=0):
    """Keypoints inside the grid."""
    unit = np.random.default_rng(seed).random((n, k, 3))
    return unit * [191, 255, 158] - [0, 0, 79]


def test_registered_with_defaults():
    codec = KEYPOINT_CODECS.build(
        dict(type="MarginalHeatmap", input_size=[64, 32], heatmap_size=[8, 4, 8])
    )
    assert isinstance(codec, MarginalHeatmap) and codec.support_batch_decoding
    assert codec.depth_range == 64 and codec.sigma == 1
    assert codec.input_size == (64, 32) and codec.heatmap_size == (8, 4, 8)


def test_labels_equal_slow_computation():
    keypoints = random_keypoints()
    labels = build().encode(keypoints)["keypoint_labels"]
    for n, k in np.ndindex(2, 5):
        x, y, z = keypoints[n, k]
        expected = [(2 * x + 1) / 192 - 1, (2 * y + 1) / 256 - 1, 2 * z / 160]
        np.testing.assert_allclose(labels[n, k], expected, atol=1e-6)


def test_first_cell_is_the_mean_of_its_pixels():
    """A cell of 8 x 8 pixels has its center amid them, also after the conversion."""
    pixels = np.array([[[x, y, 0.0] for x in range(8) for y in range(8)]])
    mean = build().encode(pixels)["keypoint_labels"].mean(1)[0]
    np.testing.assert_allclose(mean, [1 / 24 - 1, 1 / 32 - 1, 0], atol=1e-6)


def test_round_trip():
    codec, keypoints = build(), random_keypoints()
    encoded = codec.encode(keypoints)
    assert all(values.dtype == np.float32 for values in encoded.values())
    assert all((encoded[f"{key}_weights"] == 1).all() for key in ("keypoint", "depth"))
    decoded, scores = codec.decode(encoded["keypoint_labels"])
    np.testing.assert_allclose(decoded, keypoints, atol=1e-4)
    assert (scores == 1).all() and scores.shape == (2, 5)


def test_weights_end_with_the_grid():
    inside = [(-0.5, 0, 0), (191.5, 255.5, 80), (100, 100, -80)]
    beside = [(-0.51, 0, 0), (191.51, 9, 0), (9, -0.51, 0), (9, 255.51, 0)]
    before_or_behind = [(9, 9, 80.01), (9, 9, -80.01)]
    keypoints = np.array([[*inside, *beside, *before_or_behind]], dtype=np.float64)
    visible = np.array([[1, 0.5, 0, 1, 1, 1, 1, 1, 0.25]])
    encoded = build().encode(keypoints, visible)
    assert encoded["keypoint_weights"].tolist() == [[1, 0.5, 0, 0, 0, 0, 0, 1, 0.25]]
    assert encoded["depth_weights"].tolist() == [[1, 1, 1, 1, 1, 1, 1, 0, 0]]


def test_depth_can_be_hidden_or_missing():
    codec, keypoints = build(), random_keypoints()
    depth_visible = np.array([[1, 0, 1, 0, 1], [0, 0, 0, 0, 0.5]])
    encoded = codec.encode(keypoints, transformed_depth_visible=depth_visible)
    np.testing.assert_array_equal(encoded["depth_weights"], depth_visible)
    assert (encoded["keypoint_weights"] == 1).all()
    flat = codec.encode(keypoints[..., :2], transformed_depth_visible=np.ones((2, 5)))
    assert flat["keypoint_labels"].shape == (2, 5, 3)
    assert not flat["keypoint_labels"][..., 2].any() and not flat["depth_weights"].any()
    np.testing.assert_array_equal(
        flat["keypoint_labels"][..., :2], encoded["keypoint_labels"][..., :2]
    )


def test_numbers_that_are_not_finite_have_no_weight():
    keypoints = random_keypoints(1, 3)
    keypoints[0, 0, 2] = np.nan
    keypoints[0, 1, 0] = np.inf
    encoded = build().encode(keypoints)
    assert np.isfinite(encoded["keypoint_labels"]).all()
    assert encoded["keypoint_weights"].tolist() == [[1, 0, 1]]
    assert encoded["depth_weights"].tolist() == [[0, 1, 1]]


def test_batch_decode():
    codec, keypoints = build(), random_keypoints(3)
    labels = codec.encode(keypoints)["keypoint_labels"]
    scores = torch.rand(3, 5)
    decoded, given = codec.batch_decode(torch.from_numpy(labels), scores)
    assert [d.shape for d in decoded] == [(1, 5, 3)] * 3
    np.testing.assert_allclose(np.concatenate(decoded), keypoints, atol=1e-4)
    np.testing.assert_array_equal(np.concatenate(given), scores)


@pytest.mark.parametrize("axes", [2, 3])
def test_is_packed_by_mmpose(axes):
    keypoints = random_keypoints(1)[..., :axes]
    results = dict(
        img=np.zeros((256, 192, 3), dtype=np.uint8),
        transformed_keypoints=keypoints,
        keypoints_visible=np.ones((1, 5)),
    )
    results = GenerateTarget(encoder=CONFIG).transform(results)
    labels = PackPoseInputs().transform(results)["data_samples"].gt_instance_labels
    assert sorted(labels.keys()) == [
        "depth_weights",
        "keypoint_labels",
        "keypoint_weights",
    ]
    assert labels.keypoint_labels.shape == (1, 5, 3)
    assert labels.depth_weights.tolist() == [[axes - 2] * 5]


@pytest.mark.parametrize(
    "wrong, message",
    [
        (dict(input_size=(192, 256, 3)), "input_size.*W, H"),
        (dict(input_size=(192, 0)), "input_size"),
        (dict(heatmap_size=(24, 32)), "heatmap_size.*w, h, d"),
        (dict(heatmap_size=(24, 32, 1.5)), "heatmap_size"),
        (dict(depth_range=0), "depth_range"),
        (dict(depth_range=float("inf")), "depth_range"),
        (dict(sigma=-1), "sigma"),
    ],
)
def test_wrong_arguments(wrong, message):
    with pytest.raises(ValueError, match=message):
        build(**wrong)


def test_wrong_shapes():
    codec, keypoints = build(), random_keypoints()
    with pytest.raises(ValueError, match="keypoints must be"):
        codec.encode(keypoints[0])
    with pytest.raises(ValueError, match="keypoints must be"):
        codec.encode(np.zeros((2, 5, 4)))
    with pytest.raises(ValueError, match=r"keypoints_visible.*\(2, 5\).*\(2, 4\)"):
        codec.encode(keypoints, np.ones((2, 4)))
    with pytest.raises(ValueError, match="depth_visible"):
        codec.encode(keypoints, transformed_depth_visible=np.ones((2, 5, 1)))
    with pytest.raises(ValueError, match="encoded must be"):
        codec.decode(keypoints[..., :2])
    with pytest.raises(ValueError, match="scores must be"):
        codec.decode(keypoints, np.ones((2, 4)))
