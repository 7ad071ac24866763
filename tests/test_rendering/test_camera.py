import cv2
import numpy as np
import pytest

from mmpose_da.rendering import (
    JOINT_IDS,
    Pose,
    forward_kinematics,
    sample_body,
    sample_camera,
    sample_pose,
)

SIZE = 160
WIDE = dict(
    azimuth=(-180, 180), elevation=(-20, 60), roll=(-30, 30), distance=(2.5, 6.0)
)


@pytest.fixture
def rng():
    return np.random.default_rng(11)


def person(rng):
    pose = sample_pose(rng, dict(standing=1, sitting=1, acrobatic=2))
    return forward_kinematics(sample_body(rng), pose)


def standing(rng):
    return forward_kinematics(sample_body(rng), Pose())


def test_projection_is_that_of_opencv(rng):
    for _ in range(10):
        joints = person(rng)
        camera = sample_camera(rng, joints, SIZE, **WIDE)
        (cx, cy), f = camera.center, camera.focal
        matrix = np.array([[f, 0, cx], [0, f, cy], [0, 0, 1]])
        turn, _ = cv2.Rodrigues(camera.rotation)
        points, _ = cv2.projectPoints(joints, turn, camera.translation, matrix, None)
        np.testing.assert_allclose(camera.project(joints), points[:, 0], atol=1e-6)


def test_rotations_are_proper_and_the_distance_is_kept(rng):
    for _ in range(20):
        joints = person(rng)
        camera = sample_camera(rng, joints, SIZE, **dict(WIDE, distance=(5, 5)))
        turn = camera.rotation
        np.testing.assert_allclose(turn @ turn.T, np.eye(3), atol=1e-12)
        assert np.linalg.det(turn) == pytest.approx(1)
        middle = (joints.min(axis=0) + joints.max(axis=0)) / 2
        np.testing.assert_allclose(
            camera.to_camera(middle[None])[0], [0, 0, 5], atol=1e-9
        )


def test_the_person_fills_the_wanted_share_within_the_image(rng):
    off_center = []
    for fill in np.linspace(0.3, 1.0, 40):
        joints = person(rng)
        camera = sample_camera(rng, joints, SIZE, fill=(fill, fill), **WIDE)
        points = camera.project(joints)
        low, high = points.min(axis=0), points.max(axis=0)
        assert (high - low).max() == pytest.approx(fill * SIZE)
        assert (low >= -0.5 - 1e-6).all() and (high <= SIZE - 0.5 + 1e-6).all()
        off_center.append((low + high) / 2 - (SIZE - 1) / 2)
    off_center = np.array(off_center)
    assert (np.abs(off_center) < 0.061 * SIZE).all() and off_center.std() > 1


def test_fill_is_drawn_from_its_range(rng):
    joints = standing(rng)
    shares = []
    for _ in range(50):
        points = sample_camera(rng, joints, SIZE, fill=(0.5, 0.9)).project(joints)
        shares.append(np.ptp(points, axis=0).max() / SIZE)
    assert 0.5 <= min(shares) < 0.6 and 0.8 < max(shares) <= 0.9


def fixed(rng, joints, **angles):
    return sample_camera(
        rng, joints, SIZE, **{name: (angle, angle) for name, angle in angles.items()}
    )


def test_from_the_front_the_left_hand_is_at_the_right_and_the_head_is_on_top(rng):
    joints = standing(rng)
    points = fixed(rng, joints).project(joints)
    assert points[JOINT_IDS["left_wrist"], 0] > points[JOINT_IDS["right_wrist"], 0] + 10
    assert points[JOINT_IDS["head_top"], 1] < points[JOINT_IDS["pelvis"], 1] - 20


def test_azimuth_goes_round_to_the_persons_left(rng):
    joints = standing(rng)
    depth = fixed(rng, joints, azimuth=90).to_camera(joints)[:, 2]
    assert depth[JOINT_IDS["left_hip"]] < depth[JOINT_IDS["right_hip"]] - 0.1
    points = fixed(rng, joints, azimuth=180).project(joints)
    assert points[JOINT_IDS["left_wrist"], 0] < points[JOINT_IDS["right_wrist"], 0] - 10


def test_elevation_looks_down_from_above(rng):
    joints = standing(rng)
    depth = fixed(rng, joints, elevation=60).to_camera(joints)[:, 2]
    assert depth[JOINT_IDS["head_top"]] < depth[JOINT_IDS["pelvis"]] - 0.3


def test_it_may_look_straight_down(rng):
    joints = standing(rng)
    assert np.isfinite(fixed(rng, joints, elevation=90).project(joints)).all()


def test_roll_turns_the_image_clockwise(rng):
    joints = standing(rng)
    points = fixed(rng, joints, roll=90).project(joints)
    assert points[JOINT_IDS["head_top"], 0] > points[JOINT_IDS["pelvis"], 0] + 20


def test_ranges_that_do_not_fit(rng):
    joints = standing(rng)
    with pytest.raises(ValueError, match=r"inside the person.*distance=\(0.1, 0.2\)"):
        sample_camera(rng, joints, SIZE, distance=(0.1, 0.2))
    for fill in [(0.5, 1.2), (0.0, 0.5), (0.8, 0.7)]:
        with pytest.raises(ValueError, match="fill must be a range within"):
            sample_camera(rng, joints, SIZE, fill=fill)
