from dataclasses import replace

import cv2
import numpy as np
import pytest

from mmpose_da.rendering.appearance import (
    Wardrobe,
    dress,
    joint_radii,
    sample_outfit,
)
from mmpose_da.rendering.camera import sample_camera
from mmpose_da.rendering.poses import sample_pose
from mmpose_da.rendering.renderer import Light, render_limbs
from mmpose_da.rendering.skeleton import (
    JOINT_IDS,
    JOINT_NAMES,
    forward_kinematics,
    sample_body,
)

PLAIN = Wardrobe(bald=0, long_hair=0)
LIGHT = Light(np.array([0.0, 0.0, -1.0]), strength=0, ambient=1, rim=0, crease=0)
SIZE = 128


def person(seed=0, family="standing"):
    rng = np.random.default_rng(seed)
    body = sample_body(rng)
    return body, forward_kinematics(body, sample_pose(rng, {family: 1.0}))


def outfit(wardrobe=PLAIN, seed=0):
    return sample_outfit(np.random.default_rng(seed), wardrobe)


def view(joints, azimuth=0.0):
    return sample_camera(
        np.random.default_rng(0), joints, SIZE, azimuth=(azimuth, azimuth)
    )


def render(body, joints, clothes, azimuth=0.0):
    camera = view(joints, azimuth)
    limbs = dress(body, camera.to_camera(joints), clothes)
    return render_limbs(limbs, camera, LIGHT, SIZE, 1.0), camera


def color_share(layer, material):
    """Share of the person that has exactly the color of a material."""
    same = np.abs(layer.color - np.float32(material.color)).max(axis=2) < 1e-4
    return (same & (layer.alpha > 0.99)).sum() / layer.alpha.sum()


@pytest.mark.parametrize("family", ["standing", "walking", "reaching", "sitting"])
@pytest.mark.parametrize("azimuth", [0, 60, 180])
def test_all_joints_are_within_the_silhouette(family, azimuth):
    for seed in range(4):
        body, joints = person(seed, family)
        layer, camera = render(body, joints, outfit(seed=seed), azimuth)
        column, row = np.rint(camera.project(joints)).astype(int).T
        around = [
            layer.alpha[max(y - 1, 0) : y + 2, max(x - 1, 0) : x + 2].max()
            for x, y in zip(column, row, strict=True)
        ]
        outside = [n for n, a in zip(JOINT_NAMES, around, strict=True) if a == 0]
        assert not outside


def test_body_is_in_one_piece():
    for seed in range(5):
        body, joints = person(seed, "acrobatic")
        layer, _ = render(body, joints, outfit())
        parts, _ = cv2.connectedComponents((layer.alpha > 0).astype(np.uint8))
        assert parts == 2  # the background and the person


def test_face_is_on_the_front_and_hair_on_the_back():
    body, joints = person()
    clothes = outfit()
    skin = np.array(clothes.skin.color)
    hair = np.array(clothes.hair.color)

    def head(azimuth):
        layer, camera = render(body, joints, clothes, azimuth)
        ends = camera.project(joints[[JOINT_IDS["upper_neck"], JOINT_IDS["head_top"]]])
        row = int(ends[:, 1].mean())
        column = int(ends[:, 0].mean())
        return layer.color[row - 2 : row + 3, column - 2 : column + 3].reshape(-1, 3)

    front, back = np.median(head(0), axis=0), np.median(head(180), axis=0)
    assert np.abs(front - skin).sum() < np.abs(front - hair).sum()
    assert np.abs(back - hair).sum() < np.abs(back - skin).sum()


def test_shorter_sleeves_and_legs_show_more_skin():
    body, joints = person()
    long = outfit()
    shares = [
        color_share(
            render(body, joints, replace(long, sleeves=s, legs=g))[0], long.skin
        )
        for s, g in ((2, 2), (1, 1), (0, 0.4))
    ]
    assert shares[0] < shares[1] - 0.05 < shares[2] - 0.1


@pytest.mark.parametrize("item", ["hat", "backpack", "skirt"])
def test_what_is_worn_is_seen_and_only_then(item):
    body, joints = person()
    with_it, _ = render(body, joints, replace(outfit(), **{item: True}), 120)
    without, _ = render(body, joints, outfit(), 120)
    assert np.abs(with_it.color - without.color).max() > 0.05


def test_probabilities_of_zero_and_one_are_never_and_always():
    never = Wardrobe(skirt=0, long_hair=0, bald=0, hat=0, backpack=0)
    always = Wardrobe(
        skirt=1, long_hair=1, bald=0, hat=1, backpack=1, top_pattern=1, leg_pattern=1
    )
    for seed in range(20):
        one, other = outfit(never, seed), outfit(always, seed)
        for item in ("skirt", "long_hair", "hat", "backpack"):
            assert not getattr(one, item) and getattr(other, item)
        assert one.top.pattern == one.bottom.pattern == "plain"
        assert "plain" not in (other.top.pattern, other.bottom.pattern)
        # The rest of the looks is the same.
        assert one.skin == other.skin and one.top.color == other.top.color


def test_joint_radii_grow_with_the_person():
    body, _ = person()
    small, tall = replace(body, height=1.5), replace(body, height=1.8)
    np.testing.assert_allclose(joint_radii(tall) / joint_radii(small), 1.2)
    assert len(joint_radii(body)) == len(JOINT_NAMES)
