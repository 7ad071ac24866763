import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from mmpose_da.rendering import (
    JOINT_IDS,
    JOINT_NAMES,
    Pose,
    forward_kinematics,
    sample_body,
    sample_pose,
)
from mmpose_da.rendering.skeleton import (
    ARM,
    FLESH,
    LEG,
    LENGTHS,
    SIDES,
    STATURE,
    without_side,
)

ALL = dict(standing=1, walking=1, reaching=1, sitting=1, acrobatic=5)
HEAD = ("nose", "left_eye", "right_eye", "left_ear", "right_ear", "head_top")


@pytest.fixture
def rng():
    return np.random.default_rng(7)


def people(rng, count=60):
    for _ in range(count):
        body, pose = sample_body(rng), sample_pose(rng, ALL)
        yield body, pose, forward_kinematics(body, pose)


def at(joints, name):
    return joints[JOINT_IDS[name]]


def posed(body, **angles):
    """Joints seen from the pelvis."""
    joints = forward_kinematics(body, Pose(angles))
    return joints - at(joints, "pelvis")


def test_the_first_joints_are_those_of_coco():
    from mmpose.datasets import CocoDataset

    names = CocoDataset(lazy_init=True, test_mode=True).metainfo["keypoint_id2name"]
    assert JOINT_NAMES[:17] == tuple(names[i] for i in range(17))
    assert len(set(JOINT_NAMES)) == len(JOINT_NAMES) == 25


def test_no_pose_changes_the_length_of_a_bone(rng):
    for body, _, joints in people(rng):

        def distance(a, b, joints=joints):
            return np.linalg.norm(at(joints, a) - at(joints, b))

        for side in SIDES:
            for start, end, segment, _ in ARM + LEG:
                length = distance(f"{side}_{start}", f"{side}_{end}")
                assert length == pytest.approx(body.lengths[segment])
            half = distance("thorax", f"{side}_shoulder")
            assert half == pytest.approx(body.lengths["half_shoulders"])
        hips = distance("left_hip", "right_hip")
        assert hips == pytest.approx(2 * body.lengths["half_hips"])
        assert distance("thorax", "upper_neck") == pytest.approx(body.lengths["neck"])
        assert distance("upper_neck", "head_top") == pytest.approx(body.lengths["head"])
        # Two halves that bend: at most as long as when straight.
        assert distance("pelvis", "thorax") < body.lengths["spine"] + 1e-9


def test_the_head_is_rigid(rng):
    body = sample_body(rng)
    face = [JOINT_IDS[name] for name in HEAD]

    def shape(joints):
        return np.linalg.norm(joints[face][:, None] - joints[face], axis=-1)

    upright = shape(forward_kinematics(body, Pose()))
    for _ in range(20):
        joints = forward_kinematics(body, sample_pose(rng, ALL))
        np.testing.assert_allclose(shape(joints), upright, atol=1e-12)


def test_the_lowest_point_is_on_the_ground_or_in_the_air_by_the_lift(rng):
    lifts = 0
    for body, pose, joints in people(rng, 150):
        flesh = [
            FLESH.get(without_side(name), 0.0) * body.height for name in JOINT_NAMES
        ]
        assert np.min(joints[:, 1] - flesh) == pytest.approx(pose.lift)
        np.testing.assert_allclose(at(joints, "pelvis")[[0, 2]], 0, atol=1e-12)
        lifts += pose.lift > 0
    assert 0 < lifts < 50


def test_a_person_who_stands_upright_has_the_stature(rng):
    for _ in range(20):
        body = sample_body(rng)
        joints = forward_kinematics(body, Pose())
        assert STATURE[0] <= body.height <= STATURE[1]
        assert at(joints, "head_top")[1] == pytest.approx(body.height, rel=0.01)
        assert set(body.lengths) == set(LENGTHS)


def test_bodies_vary_about_the_fractions_of_the_source(rng):
    bodies = [sample_body(rng) for _ in range(400)]
    for name, fraction in LENGTHS.items():
        shares = np.array([body.lengths[name] / body.height for body in bodies])
        assert shares.mean() == pytest.approx(fraction, rel=0.01)
        assert 0.02 < shares.std() / fraction < 0.05
    assert np.std([body.girth for body in bodies]) > 0.05


def test_a_mirrored_pose_gives_mirrored_joints(rng):
    other = [
        JOINT_IDS[
            name.replace("left", "?").replace("right", "left").replace("?", "right")
        ]
        for name in JOINT_NAMES
    ]
    for body, pose, joints in people(rng):
        mirrored = forward_kinematics(body, pose.mirrored())
        np.testing.assert_allclose(mirrored[other] * (-1, 1, 1), joints, atol=1e-12)


# The meaning of the angles: x is the person's left, y up, z the front.


def test_who_stands_faces_the_viewer_with_the_left_side_at_positive_x(rng):
    joints = posed(sample_body(rng))
    assert at(joints, "nose")[2] > at(joints, "left_ear")[2] + 0.05
    for part in ("eye", "shoulder", "wrist", "hip", "toe"):
        assert at(joints, f"left_{part}")[0] > 0 > at(joints, f"right_{part}")[0]
    assert at(joints, "left_toe")[2] > at(joints, "left_ankle")[2] + 0.1


@pytest.mark.parametrize("side, sign", [("left", 1), ("right", -1)])
@pytest.mark.parametrize(
    "angles, start, end, direction",
    [
        (dict(shoulder_flexion=90), "shoulder", "wrist", (0, 0, 1)),
        (dict(shoulder_flexion=180), "shoulder", "wrist", (0, 1, 0)),
        (dict(shoulder_abduction=90), "shoulder", "wrist", (1, 0, 0)),
        (dict(elbow_flexion=90), "elbow", "wrist", (0, 0, 1)),
        (dict(elbow_flexion=90, shoulder_rotation=90), "elbow", "wrist", (1, 0, 0)),
        (dict(wrist_flexion=90), "wrist", "hand", (0, 0, 1)),
        (dict(hip_flexion=90), "hip", "ankle", (0, 0, 1)),
        (dict(hip_abduction=90), "hip", "ankle", (1, 0, 0)),
        (dict(knee_flexion=90), "knee", "ankle", (0, 0, -1)),
        (dict(knee_flexion=90, hip_rotation=90), "knee", "ankle", (-1, 0, 0)),
    ],
)
def test_angles_of_limbs(rng, side, sign, angles, start, end, direction):
    angles = {f"{side}_{name}": value for name, value in angles.items()}
    joints = posed(sample_body(rng), **angles)
    bone = at(joints, f"{side}_{end}") - at(joints, f"{side}_{start}")
    expected = np.multiply(direction, (sign, 1, 1))
    np.testing.assert_allclose(bone / np.linalg.norm(bone), expected, atol=1e-9)


@pytest.mark.parametrize(
    "angles, axis, joint",
    [
        (dict(spine_flexion=60), 2, "head_top"),
        (dict(spine_bend=30), 0, "head_top"),
        (dict(neck_flexion=40), 2, "head_top"),
        (dict(neck_bend=40), 0, "head_top"),
        (dict(neck_turn=50), 0, "nose"),
        (dict(spine_turn=40), 0, "nose"),
    ],
)
def test_angles_of_the_trunk_are_to_the_front_and_to_the_left(rng, angles, axis, joint):
    body = sample_body(rng)
    moved = at(posed(body, **angles), joint) - at(posed(body), joint)
    assert moved[axis] > 0.03 and abs(moved[2 - axis]) < moved[axis]


def test_the_trunk_takes_half_of_an_angle_in_each_of_two_parts(rng):
    body = sample_body(rng)
    joints = posed(body, spine_flexion=60)
    half = body.lengths["spine"] / 2
    expected = sum(
        half * Rotation.from_euler("x", angle, degrees=True).apply([0, 1, 0])
        for angle in (30, 60)
    )
    np.testing.assert_allclose(at(joints, "thorax"), expected, atol=1e-12)


def test_the_shoulders_turn_with_the_whole_spine(rng):
    joints = posed(sample_body(rng), spine_turn=40)
    x, _, z = at(joints, "left_shoulder") - at(joints, "right_shoulder")
    assert np.degrees(np.arctan2(-z, x)) == pytest.approx(40)


def test_a_raised_arm_raises_its_shoulder(rng):
    body = sample_body(rng)
    joints = posed(body, left_shoulder_flexion=180)
    rise = at(joints, "left_shoulder")[1] - at(joints, "right_shoulder")[1]
    assert rise == pytest.approx(body.lengths["half_shoulders"] / 2)  # sin 30°


def test_orientation_turns_all_about_the_pelvis(rng):
    body, pose = sample_body(rng), sample_pose(rng, ALL)
    turn = Rotation.from_euler("xyz", rng.uniform(-3, 3, 3)).as_matrix()
    before = forward_kinematics(body, pose)
    after = forward_kinematics(body, Pose(pose.angles, turn @ pose.orientation))
    before, after = before - at(before, "pelvis"), after - at(after, "pelvis")
    np.testing.assert_allclose(after, before @ turn.T, atol=1e-12)
