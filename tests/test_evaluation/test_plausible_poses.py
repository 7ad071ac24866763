import numpy as np
import pytest

from mmpose_da.evaluation import PlausiblePoses

LIMBS = [(0, 1), (1, 2), (2, 3)]


@pytest.fixture
def poses():
    """Chains of three limbs of about 10, 20, and 30 pixels, at any angle and scale."""
    rng = np.random.default_rng(0)
    lengths = np.array([10, 20, 30]) * rng.uniform(0.9, 1.1, (200, 3))
    angles = rng.uniform(0, 2 * np.pi, (200, 3))
    steps = lengths[..., None] * np.stack([np.cos(angles), np.sin(angles)], -1)
    points = np.concatenate([np.zeros((200, 1, 2)), steps.cumsum(1)], axis=1)
    return points * rng.uniform(0.5, 4, (200, 1, 1))


def slow(poses, given, share):
    def ratios(pose):
        lengths = [np.hypot(*(pose[a] - pose[b])) for a, b in LIMBS]
        return [length / np.median(lengths) for length in lengths]

    known = np.array([ratios(pose) for pose in given])
    result = []
    for pose in poses:
        row = []
        for limb, ratio in enumerate(ratios(pose)):
            values = sorted(known[:, limb])
            low, high = np.quantile(values, [(1 - share) / 2, (1 + share) / 2])
            row.append(low <= ratio <= high)
        result.append(row)
    return np.array(result)


def test_equals_slow_computation(poses):
    seen = poses[100:] + np.random.default_rng(1).normal(0, 3, (100, 4, 2))
    found = PlausiblePoses(poses[:100], LIMBS, share=0.9)(seen)
    np.testing.assert_array_equal(found, slow(seen, poses[:100], 0.9))
    assert 0.1 < found.mean() < 0.9


def test_position_size_and_turn_do_not_matter(poses):
    plausible = PlausiblePoses(poses, LIMBS)
    turned = poses[..., ::-1] * [-3, 3] + 50
    np.testing.assert_array_equal(plausible(turned), plausible(poses))
    assert plausible(poses).mean() > 0.95


def test_a_joint_at_the_wrong_place(poses):
    plausible = PlausiblePoses(poses, LIMBS)
    poses[:, 3] = poses[:, 2]
    assert not plausible(poses)[:, 2].any()


def test_unknown_joints(poses):
    poses[::2, 3] = np.nan
    plausible = PlausiblePoses(poses, LIMBS)
    assert plausible(poses[1::2]).mean() > 0.9
    assert not plausible(poses[::2])[:, 2].any()
    assert PlausiblePoses(poses[::2], LIMBS)(poses).shape == (200, 2)
    with pytest.raises(ValueError, match="no pose has a limb"):
        PlausiblePoses(np.full((3, 4, 2), np.nan), LIMBS)
    with pytest.raises(ValueError, match="no skeleton"):
        PlausiblePoses(poses, [])
