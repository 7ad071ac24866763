import numpy as np
import pytest

from mmpose_da.rendering import (
    JOINT_IDS,
    forward_kinematics,
    sample_body,
    sample_pose,
)
from mmpose_da.rendering.poses import ACROBATIC_LIMITS, FAMILIES, LIMITS

CALM = ("standing", "walking", "reaching", "sitting")
#: The ranges of the American Academy of Orthopaedic Surgeons, 1965, by heart.
AAOS = dict(elbow_flexion=150, knee_flexion=135, hip_flexion=120, spine_flexion=80)


def draw(family, count=150, seed=0):
    rng = np.random.default_rng(seed)
    return [sample_pose(rng, {family: 1}) for _ in range(count)]


def joints_of(poses):
    """(N, J, 3) of one body, from the pelvis."""
    body = sample_body(np.random.default_rng(1))
    joints = np.array([forward_kinematics(body, pose) for pose in poses])
    return joints - joints[:, [JOINT_IDS["pelvis"]]]


def at(joints, name):
    return joints[:, JOINT_IDS[name]]


def unit(vectors):
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


@pytest.mark.parametrize("family", FAMILIES)
def test_every_angle_is_within_its_limits(family):
    limits = ACROBATIC_LIMITS if family == "acrobatic" else LIMITS
    for pose in draw(family, 300):
        for name, value in pose.angles.items():
            low, high = limits[name.replace("left_", "").replace("right_", "")]
            assert low <= value <= high, name


def test_limits_are_anatomical():
    for name, most in AAOS.items():
        assert LIMITS[name][1] == most
    assert all(low <= 0 <= high for low, high in LIMITS.values())
    for name, (low, high) in LIMITS.items():
        wide_low, wide_high = ACROBATIC_LIMITS[name]
        assert wide_low <= low and high <= wide_high


@pytest.mark.parametrize("family", FAMILIES)
def test_orientations_are_rotations(family):
    for pose in draw(family, 50):
        turn = pose.orientation
        np.testing.assert_allclose(turn @ turn.T, np.eye(3), atol=1e-9)
        assert np.linalg.det(turn) == pytest.approx(1)


@pytest.mark.parametrize("family", CALM)
def test_calm_families_keep_the_head_up_and_the_feet_down(family):
    poses = draw(family)
    joints = joints_of(poses)
    assert all(pose.lift == 0 for pose in poses)
    assert (at(joints, "thorax")[:, 1] > 0.15).all()
    assert (at(joints, "left_ankle")[:, 1] < 0.3).all()


def test_who_stands_has_hands_below_the_head_and_nearly_straight_legs():
    poses = draw("standing")
    joints = joints_of(poses)
    legs = at(joints, "left_hip")[:, 1] - at(joints, "left_ankle")[:, 1]
    assert legs.min() > 0.85 * legs.max()
    assert np.mean(at(joints, "left_wrist")[:, 1] < at(joints, "thorax")[:, 1]) > 0.85


def test_arms_swing_against_the_legs():
    joints = joints_of(draw("walking", 400))
    legs = at(joints, "left_ankle")[:, 2] - at(joints, "right_ankle")[:, 2]
    arms = at(joints, "left_elbow")[:, 2] - at(joints, "right_elbow")[:, 2]
    assert np.corrcoef(legs, arms)[0, 1] < -0.6
    assert legs.std() > 0.15


def test_who_reaches_has_an_arm_away_from_the_trunk():
    joints = joints_of(draw("reaching"))
    down = unit(-at(joints, "thorax"))
    cosines = [
        (unit(at(joints, f"{side}_wrist") - at(joints, f"{side}_shoulder")) * down).sum(
            axis=1
        )
        for side in ("left", "right")
    ]
    assert np.mean(np.min(cosines, axis=0) < np.cos(np.radians(45))) > 0.95


def test_who_sits_has_thighs_to_the_front():
    joints = joints_of(draw("sitting"))
    thigh = at(joints, "left_knee") - at(joints, "left_hip")
    assert (np.abs(thigh[:, 1]) < 0.75 * np.linalg.norm(thigh, axis=1)).mean() > 0.9
    assert (thigh[:, 2] > 0.15).all()


def test_acrobatics_have_handstands_splits_bends_and_jumps():
    poses = draw("acrobatic", 600)
    joints = joints_of(poses)
    head_up = at(joints, "head_top")[:, 1]
    assert (head_up < -0.4).mean() > 0.08
    assert (np.abs(head_up) < 0.4).mean() > 0.15
    spread = np.linalg.norm(
        at(joints, "left_ankle") - at(joints, "right_ankle"), axis=1
    )
    assert (spread > 1.1).mean() > 0.1
    assert np.mean([pose.lift > 0 for pose in poses]) > 0.04


@pytest.mark.parametrize("family", FAMILIES)
def test_left_and_right_are_alike(family):
    joints = joints_of(draw(family, 400, seed=3))
    for part in ("wrist", "knee", "ankle"):
        left, right = (at(joints, f"{side}_{part}") for side in ("left", "right"))
        difference = left.mean(axis=0) - right.mean(axis=0) * (-1, 1, 1)
        error = np.hypot(left.std(axis=0), right.std(axis=0)) / np.sqrt(len(joints))
        assert (np.abs(difference) < 4.5 * error + 1e-3).all(), part


@pytest.mark.parametrize("family", FAMILIES)
def test_a_family_is_not_a_handful_of_poses(family):
    joints = joints_of(draw(family, 200))
    limbs = [i for name, i in JOINT_IDS.items() if name.endswith(("wrist", "ankle"))]
    points = joints[:, limbs].reshape(len(joints), -1)
    distance = np.linalg.norm(points[:, None] - points, axis=-1)
    np.fill_diagonal(distance, np.inf)
    # Metres over four joints in three dimensions to the most similar of 199 others.
    assert np.median(distance.min(axis=1)) > 0.15


def test_weights_are_those_of_the_families():
    rng = np.random.default_rng(0)
    seated = sum(
        sample_pose(rng, dict(standing=3, sitting=1, acrobatic=0)).angles[
            "right_hip_flexion"
        ]
        > 45
        for _ in range(600)
    )
    assert seated / 600 == pytest.approx(0.25, abs=0.06)


def test_the_same_generator_gives_the_same_pose():
    one, same = (draw("acrobatic", 5, seed=4) for _ in range(2))
    assert [pose.angles for pose in one] == [pose.angles for pose in same]
    assert one[0].angles != draw("acrobatic", 5, seed=5)[0].angles


@pytest.mark.parametrize(
    "families, message",
    [
        (dict(swimming=1), r"\['swimming'\].*'walking'"),
        (dict(standing=0), "not all 0"),
        (dict(standing=2, walking=-1), "weights >= 0"),
        ({}, "not all 0"),
    ],
)
def test_families_that_do_not_fit(families, message):
    with pytest.raises(ValueError, match=message):
        sample_pose(np.random.default_rng(0), families)
