from dataclasses import fields, replace

import cv2
import numpy as np
import pytest

from mmpose_da.rendering import domains
from mmpose_da.rendering.appearance import joint_radii
from mmpose_da.rendering.crowd_index import crowd_index
from mmpose_da.rendering.domains import (
    CROWD,
    DEPTH_TOLERANCE,
    DOMAINS,
    STREET,
    STUDIO,
    Bystanders,
    Crowd,
    render_people,
    render_sample,
)
from mmpose_da.rendering.scenery import Occluders, Sensor
from mmpose_da.rendering.skeleton import JOINT_IDS, JOINT_NAMES, Pose

SIZE = 96
#: Arms hang beside the body; one forearm is bent to the front, or to the back.
ARM_IN_FRONT = dict(
    left_shoulder_flexion=0, left_elbow_flexion=90, left_shoulder_rotation=-75
)
EVERY = pytest.mark.parametrize("domain", DOMAINS.values(), ids=DOMAINS)


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


@EVERY
def test_same_state_gives_the_same_bytes(domain):
    one, same, other = (render(domain, seed) for seed in (3, 3, 4))
    for field in fields(one):
        if field.name != "camera":
            first, second = getattr(one, field.name), getattr(same, field.name)
            assert first.tobytes() == second.tobytes(), field.name
    assert one.image.tobytes() != other.image.tobytes()


@pytest.mark.parametrize(
    "domain, seed, color, joint, visible, next_draw",
    [
        (STUDIO, 0, (126.88, 130.68, 151.19), (54.102, 35.534), 25, 0.7639207101998804),
        (STUDIO, 8, (117.31, 123.2, 123.93), (44.306, 36.731), 24, 0.6402738833894462),
        (STREET, 1, (158.8, 164.17, 146.85), (52.482, 35.951), 25, 0.2298217731439317),
        (STREET, 8, (84.92, 126.89, 71.22), (44.957, 38.838), 24, 0.39765934269826353),
    ],
)
def test_a_seed_gives_the_image_it_always_gave(
    domain, seed, color, joint, visible, next_draw
):
    """Otherwise, GENERATOR_VERSION has to change."""
    rng = np.random.default_rng(seed)
    sample = render_sample(domain, rng, SIZE)
    np.testing.assert_allclose(sample.image.mean(axis=(0, 1)), color, atol=0.05)
    np.testing.assert_allclose(sample.joints.mean(axis=0), joint, atol=0.001)
    assert sample.visible.sum() == visible
    assert rng.random() == next_draw


@EVERY
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


@EVERY
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


def crowd(seed=0, size=SIZE, domain=CROWD, **changes):
    domain = replace(domain, crowd=replace(CROWD.crowd, **changes))
    return render_people(domain, np.random.default_rng(seed), size)


def index_of(people):
    labels = [np.column_stack([p.joints, np.ones(len(p.joints))]) for p in people]
    corners = np.array([person.box for person in people])
    boxes = np.hstack([corners[:, :2], corners[:, 2:] - corners[:, :2]])
    return crowd_index(boxes, labels)


@pytest.fixture
def drawn(monkeypatch):
    """The bodies and layers of the people, as they are drawn."""
    calls = []
    draw = domains._render_person

    def record(domain, rng, body, *rest):
        layer = draw(domain, rng, body, *rest)
        calls.append((body, layer))
        return layer

    monkeypatch.setattr(domains, "_render_person", record)
    return calls


def test_a_crowd_has_the_promised_number_of_people_in_one_image():
    counts = []
    for seed in range(20):
        people = crowd(seed, 48)
        counts.append(len(people))
        first = people[0]
        for person in people:
            assert person.image is first.image and person.camera is first.camera
            inside = (person.joints > -0.5) & (person.joints < 48 - 0.5)
            assert inside.all()
    assert set(counts) == {2, 3, 4}
    assert len(crowd(people=(6, 6))) == 6
    assert len(render_people(STREET, np.random.default_rng(0), 48)) == 1


def test_a_crowd_is_the_same_for_the_same_state():
    for one, same in zip(crowd(3), crowd(3), strict=True):
        for field in fields(one):
            if field.name != "camera":
                first, second = getattr(one, field.name), getattr(same, field.name)
                assert first.tobytes() == second.tobytes(), field.name


def test_people_of_a_crowd_stand_apart_on_the_same_ground():
    settings = Crowd(people=(2, 6), step=(0.0, 0.9), behind=(0.0, 0.0), apart=0.6)
    rng = np.random.default_rng(0)
    closest = []
    for _ in range(200):
        places = domains._sample_places(settings, rng)
        assert (places[:, 1] == 0).all()
        np.testing.assert_allclose(places.mean(axis=0)[2], 0, atol=1e-9)
        gaps = [
            np.linalg.norm(one - other)
            for i, one in enumerate(places)
            for other in places[:i]
        ]
        closest.append(min(gaps))
    assert 0.6 - 1e-9 <= min(closest) < 0.61

    standing = replace(CROWD, poses=dict(standing=1.0))
    for person in crowd(domain=standing, people=(4, 4)):
        toes = [JOINT_IDS["left_toe"], JOINT_IDS["right_toe"]]
        assert 0 < person.joints_world[toes, 1].min() < 0.06


def test_people_turn_to_their_left(monkeypatch):
    pose = Pose(angles={}, orientation=np.eye(3), lift=0.0)
    monkeypatch.setattr(domains, "sample_pose", lambda rng, families: pose)
    for person in crowd(turn=(90, 90)):
        hips = [person.joints_world[JOINT_IDS[f"{s}_hip"]] for s in ("left", "right")]
        # Who looks along +x, to where the left was, has the right hand side at +z.
        x, _, z = hips[1] - hips[0]
        assert z > 0.05 and abs(x) < 1e-6


def test_the_step_controls_how_crowded_an_image_is():
    means = [
        np.mean([index_of(crowd(seed, 64, step=(step, step))) for seed in range(16)])
        for step in (0.1, 0.45, 0.9, 1.5)
    ]
    assert means[0] > 0.8 > means[1] > 0.25 > means[2] > means[3]
    assert means[3] < 0.05


def test_joints_are_hidden_by_whoever_owns_the_pixel(drawn):
    """Looks at each pixel of the separately drawn people, one after the other."""
    clear = replace(CROWD, occluders=replace(CROWD.occluders, probability=0.0))
    by_others = by_itself = shown = 0
    for seed in range(6):
        drawn.clear()
        people = crowd(seed, domain=clear, step=(0.1, 0.4))
        for i, (person, (body, _)) in enumerate(zip(people, drawn, strict=True)):
            depths = person.camera.to_camera(person.joints_world)[:, 2]
            nearer = depths - joint_radii(body) - DEPTH_TOLERANCE
            for k, (x, y) in enumerate(person.joints):
                # The pixels around the joint, on the fine grid on which people are
                # drawn.
                size = len(drawn[0][1].depth)
                scale = size / SIZE
                column, row = (round((c + 0.5) * scale - 0.5) for c in (x, y))
                owners = set()
                for v in range(max(row - 1, 0), min(row + 2, size)):
                    for u in range(max(column - 1, 0), min(column + 2, size)):
                        here = [float(layer.depth[v, u]) for _, layer in drawn]
                        nearest = min(here)
                        in_front = nearest < nearer[k]
                        owners.add(here.index(nearest) if in_front else None)
                assert person.visible[k] == (None in owners), (seed, i, JOINT_NAMES[k])
                shown += None in owners
                by_itself += owners == {i}
                by_others += None not in owners and owners != {i}
    assert shown > 200 and by_others > 50 and by_itself > 10


def test_boxes_of_a_crowd_hold_the_pixels_of_their_person(drawn):
    for seed in range(6):
        drawn.clear()
        people = crowd(seed)
        nearest = np.min([layer.depth for _, layer in drawn], axis=0)
        for person, (_, layer) in zip(people, drawn, strict=True):
            # As if nobody were in front.
            rows, columns = np.nonzero(layer.alpha >= 0.5)
            edges = columns.min(), rows.min(), columns.max() + 1, rows.max() + 1
            np.testing.assert_array_equal(person.box, edges)
            own = (layer.depth == nearest) & (nearest < np.inf)
            share = cv2.resize(
                own.astype(np.float32), (SIZE, SIZE), interpolation=cv2.INTER_AREA
            )
            rows, columns = np.nonzero(share >= 0.5)
            x1, y1, x2, y2 = person.box
            assert (columns >= x1).all() and (columns < x2).all()
            assert (rows >= y1).all() and (rows < y2).all()


def test_an_occluder_hides_joints_of_a_crowd():
    counts = []
    for probability in (0.0, 1.0):
        occluders = replace(CROWD.occluders, probability=probability)
        domain = replace(CROWD, occluders=occluders)
        counts.append(
            sum(p.visible.sum() for seed in range(12) for p in crowd(seed, 64, domain))
        )
    assert counts[1] < 0.98 * counts[0]


def test_everybody_in_a_crowd_is_labeled():
    assert CROWD.bystanders.chances == ()
    assert STUDIO.crowd is None and STREET.crowd is None


@pytest.mark.parametrize(
    "change, message",
    [
        (dict(people=(1, 3)), r"people must be a range from 2 on, not \(1, 3\)"),
        (dict(people=(4, 3)), r"people must be a range from 2 on, not \(4, 3\)"),
        (dict(step=(-0.1, 0.5)), r"step must not be negative, but is \(-0.1, 0.5\)"),
        (dict(behind=(-1.0, 0.5)), "behind must not be negative"),
        (dict(apart=-0.5), "apart must not be negative"),
    ],
)
def test_crowds_that_cannot_be(change, message):
    with pytest.raises(ValueError, match=message):
        Crowd(**change)
