from dataclasses import fields, replace

import cv2
import numpy as np
import pytest

from mmpose_da.rendering import domains
from mmpose_da.rendering.domains import (
    DOMAINS,
    STREET,
    STUDIO,
    Bystanders,
    render_sample,
)
from mmpose_da.rendering.scenery import Occluders, Sensor
from mmpose_da.rendering.skeleton import JOINT_IDS, JOINT_NAMES, Pose

SIZE = 96
#: Arms hang beside the body; one forearm is bent to the front, or to the back.
ARM_IN_FRONT = dict(
    left_shoulder_flexion=0, left_elbow_flexion=90, left_shoulder_rotation=-75
)
BOTH = pytest.mark.parametrize("domain", DOMAINS.values(), ids=DOMAINS)


def render(domain, seed=0, size=SIZE):
    return render_sample(domain, np.random.default_rng(seed), size)


def posed(monkeypatch, domain, azimuth, **angles):
    """A sample of a person in a known pose, seen from a known side."""
    pose = Pose(angles=angles, orientation=np.eye(3), lift=0.0)
    monkeypatch.setattr(domains, "sample_pose", lambda rng, families: pose)
    fixed = replace(
        *(domain,),
        azimuth=(azimuth, azimuth),
        elevation=(0, 0),
        roll=(0, 0),
        from_behind=0,
        occluders=Occluders(),
    )
    return render(fixed)


def seen(sample, *names):
    return [bool(sample.visible[JOINT_IDS[name]]) for name in names]


@BOTH
def test_same_state_gives_the_same_bytes(domain):
    one, same, other = (render(domain, seed) for seed in (3, 3, 4))
    for field in fields(one):
        if field.name != "camera":
            first, second = getattr(one, field.name), getattr(same, field.name)
            assert first.tobytes() == second.tobytes(), field.name
    assert one.image.tobytes() != other.image.tobytes()


@BOTH
@pytest.mark.parametrize("size", [64, 128])
def test_sample_has_the_promised_shapes(domain, size):
    sample = render(domain, size=size)
    count = len(JOINT_NAMES)
    assert sample.image.shape == (size, size, 3) and sample.image.dtype == np.uint8
    assert sample.joints_world.shape == (count, 3)
    assert sample.joints.shape == (count, 2)
    assert sample.visible.shape == (count,) and sample.visible.dtype == bool
    assert sample.box.shape == sample.head_box.shape == (4,)
    np.testing.assert_allclose(
        sample.camera.project(sample.joints_world), sample.joints
    )


@BOTH
def test_boxes_hold_the_person_and_the_head(domain):
    for seed in range(10):
        sample = render(domain, seed)
        x1, y1, x2, y2 = sample.box
        assert 0 <= x1 < x2 <= SIZE and 0 <= y1 < y2 <= SIZE
        inside = sample.joints[sample.visible]
        assert (inside > sample.box[:2] - 1.5).all()
        assert (inside < sample.box[2:] + 0.5).all()
        head = sample.joints[[JOINT_IDS["upper_neck"], JOINT_IDS["head_top"]]]
        assert (head >= sample.head_box[:2] - 1e-6).all()
        assert (head <= sample.head_box[2:] + 1e-6).all()
        width, height = sample.head_box[2:] - sample.head_box[:2]
        assert 0.6 < width / height < 1.7


def test_visible_joints_are_on_the_drawn_person(monkeypatch):
    layers = []
    draw = domains._render_person
    monkeypatch.setattr(
        domains, "_render_person", lambda *a: layers.append(draw(*a)) or layers[-1]
    )
    domain = replace(STREET, bystanders=Bystanders())
    visible = hidden = 0
    for seed in range(20):
        sample = render(domain, seed)
        alpha = cv2.dilate(layers[-1].alpha, np.ones((3, 3)))
        column, row = np.rint(sample.joints[sample.visible]).astype(int).T
        assert (alpha[row, column] > 0).all()
        visible += sample.visible.sum()
        hidden += (~sample.visible).sum()
        x1, y1, x2, y2 = sample.box.astype(int)
        outside = layers[-1].alpha >= 0.5
        outside[y1:y2, x1:x2] = False
        assert not outside.any()
    assert hidden > 0.05 * visible > 0


def test_far_arm_is_hidden_and_near_arm_visible_from_the_side(monkeypatch):
    left = [f"left_{joint}" for joint in ("shoulder", "elbow", "hip", "ear")]
    right = [f"right_{joint}" for joint in ("shoulder", "elbow", "hip", "ear")]
    from_left = posed(monkeypatch, STUDIO, 90)
    assert seen(from_left, *left) == [True] * 4
    assert seen(from_left, *right) == [False] * 4
    from_right = posed(monkeypatch, STUDIO, -90)
    assert seen(from_right, *left) == [False] * 4
    assert seen(from_right, *right) == [True] * 4


def test_face_and_folded_arm_are_hidden_from_behind(monkeypatch):
    front = posed(monkeypatch, STUDIO, 0, **ARM_IN_FRONT)
    behind = posed(monkeypatch, STUDIO, 180, **ARM_IN_FRONT)
    names = "nose", "left_eye", "right_eye", "left_wrist"
    assert seen(front, *names) == [True] * 4
    assert seen(behind, *names) == [False] * 4
    both_sides = "left_shoulder", "right_shoulder", "left_knee", "right_knee"
    assert seen(front, *both_sides) == seen(behind, *both_sides) == [True] * 4


def test_occluder_hides_joints():
    often = replace(STREET, occluders=Occluders(probability=1.0, most=0.25))
    never = replace(STREET, occluders=Occluders(probability=0.0))
    counts = [
        sum(render(domain, seed).visible.sum() for seed in range(25))
        for domain in (often, never)
    ]
    assert counts[0] < 0.98 * counts[1]


def test_left_is_on_the_right_of_the_image_from_the_front():
    for seed in range(10):
        joints = render(STUDIO, seed).joints
        left, right = joints[JOINT_IDS["left_hip"]], joints[JOINT_IDS["right_hip"]]
        assert left[0] > right[0]


def test_bystanders_are_behind_and_do_not_touch_the_labels(monkeypatch):
    with_them = replace(STREET, bystanders=Bystanders(chances=(1.0, 1.0)))
    without = replace(STREET, bystanders=Bystanders())
    calls = []
    draw = domains._render_bystander
    monkeypatch.setattr(
        domains, "_render_bystander", lambda *a: calls.append(1) or draw(*a)
    )
    crowded = render(replace(with_them, occluders=Occluders()), 5)
    assert len(calls) == 2
    alone = render(replace(without, occluders=Occluders()), 5)
    assert len(calls) == 2
    np.testing.assert_array_equal(crowded.box, alone.box)
    np.testing.assert_array_equal(crowded.visible, alone.visible)


def test_street_is_more_cluttered_blurred_and_varied_than_studio():
    def statistics(domain):
        images = [render(domain, seed).image.astype(np.float32) for seed in range(32)]
        # Corners hold no person; smoothing leaves the clutter and takes the noise.
        corners = [
            cv2.GaussianBlur(i, (0, 0), 2)[: SIZE // 3, : SIZE // 5] for i in images
        ]
        clutter = np.mean([np.abs(np.diff(c, axis=1)).mean() for c in corners])
        noise = np.mean([np.abs(i - cv2.medianBlur(i, 3)).mean() for i in images])
        brightness = np.std([i.mean() for i in images])
        return clutter, noise, brightness

    studio, street = statistics(STUDIO), statistics(STREET)
    for more, less in zip(street, studio, strict=True):
        assert more > 1.15 * less


def test_viewpoints_of_the_domains_differ():
    def elevations(domain):
        forward = [render(domain, s, 48).camera.rotation[2] for s in range(30)]
        return np.degrees(np.arcsin(-np.array(forward)[:, 1]))

    for domain in (STUDIO, STREET):
        low, high = domain.elevation
        middle = (low + high) / 2
        seen = elevations(domain)
        assert low - 1e-6 <= seen.min() < middle < seen.max() <= high + 1e-6
    assert STREET.elevation[1] > 2 * STUDIO.elevation[1]


def test_one_knob_leaves_the_labels_alone():
    clean = replace(STREET, sensor=Sensor())
    one, other = render(STREET, 7), render(clean, 7)
    np.testing.assert_array_equal(one.joints, other.joints)
    np.testing.assert_array_equal(one.visible, other.visible)
    assert np.abs(one.image.astype(int) - other.image).max() > 20
