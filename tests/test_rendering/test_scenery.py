from dataclasses import replace

import cv2
import numpy as np
import pytest

from mmpose_da.rendering.camera import sample_camera
from mmpose_da.rendering.poses import sample_pose
from mmpose_da.rendering.scenery import (
    Lighting,
    Occluders,
    Scene,
    Sensor,
    blur,
    expose,
    floor_mask,
    ground_shadow,
    light_field,
    motion_blur,
    sample_backdrop,
    sample_light,
    sample_occluder,
    value_noise,
)
from mmpose_da.rendering.skeleton import (
    JOINT_IDS,
    forward_kinematics,
    sample_body,
)

SIZE = 96
QUIET = Sensor(
    gain=(1, 1), gamma=(1, 1), cast=0, blur=(0, 0), motion=0, noise=(0, 0), jpeg=0
)
BARE = Scene(gradient=(0, 0), vignette=(0, 0), floor_contrast=(0, 0), texture=(0, 0))


def rng(seed=0):
    return np.random.default_rng(seed)


def standing():
    return forward_kinematics(sample_body(rng()), sample_pose(rng(), {"standing": 1.0}))


def camera(elevation=10.0, roll=0.0, azimuth=0.0):
    return sample_camera(
        *(rng(), standing(), SIZE),
        azimuth=(azimuth, azimuth),
        elevation=(elevation, elevation),
        roll=(roll, roll),
    )


def picture():
    return rng().random((SIZE, SIZE, 3), np.float32)


@pytest.mark.parametrize("roll, azimuth", [(0, 0), (10, 40), (-10, 180)])
def test_floor_ends_so_far_behind_the_person(roll, azimuth):
    cam = camera(roll=roll, azimuth=azimuth)
    mask = floor_mask(cam, SIZE, behind=1.0)
    away = cam.rotation[2] * (1, 0, 1)
    away /= np.linalg.norm(away)
    near, far = np.rint(cam.project(np.array([0.8 * away, 1.2 * away]))).astype(int)
    assert mask[near[1], near[0]] == 1
    assert mask[far[1], far[0]] == 0


def test_bare_scene_is_one_color():
    image = sample_backdrop(rng(), BARE, SIZE, floor_mask(camera(), SIZE, 1.0))
    assert image.shape == (SIZE, SIZE, 3)
    assert np.ptp(image, axis=(0, 1)).max() < 1e-6


@pytest.mark.parametrize(
    "change",
    [
        dict(gradient=(0.4, 0.4)),
        dict(vignette=(0.3, 0.3)),
        dict(floor_contrast=(1, 1)),
        dict(texture=(0.2, 0.2)),
        dict(clutter=(8, 8)),
    ],
    ids=lambda change: next(iter(change)),
)
def test_each_part_of_a_scene_can_be_turned_on_alone(change):
    floor = floor_mask(camera(), SIZE, 1.0)
    image = sample_backdrop(rng(1), replace(BARE, **change), SIZE, floor)
    assert image.std(axis=(0, 1)).max() > 0.01
    assert image.min() >= 0 and image.max() <= 1


def test_defocus_smooths_the_scene():
    floor = floor_mask(camera(), SIZE, 1.0)
    scene = replace(BARE, clutter=(10, 10))

    def edges(sigma):
        blurred = replace(scene, defocus=(sigma, sigma))
        image = sample_backdrop(rng(2), blurred, SIZE, floor)
        return np.abs(np.diff(image, axis=1)).max()

    assert edges(0) > 1.5 * edges(2) > 0


def test_light_comes_from_where_it_is_said_to():
    lighting = Lighting(azimuth=(90, 90), elevation=(30, 30), tint=(0, 0))
    cam = camera(elevation=0)
    light, world = sample_light(rng(), lighting, cam)
    cos, sin = np.cos(np.pi / 6), 0.5
    np.testing.assert_allclose(light.direction, [cos, -sin, 0], atol=1e-6)
    assert world[1] == pytest.approx(sin)
    np.testing.assert_allclose(light.color, 1)


def test_shadow_falls_away_from_the_light():
    cam, joints = camera(elevation=20), standing()
    feet = cam.project(joints[[JOINT_IDS["left_ankle"], JOINT_IDS["right_ankle"]]])

    def center(azimuth):
        lighting = Lighting(azimuth=(azimuth, azimuth), elevation=(50, 50))
        _, world = sample_light(rng(), lighting, cam)
        mask = ground_shadow(joints, cam, world, SIZE)
        assert mask.min() >= 0 and 0.5 < mask.max() <= 1.001
        return (mask.sum(axis=0) @ np.arange(SIZE)) / mask.sum()

    assert center(80) < feet[:, 0].mean() - 3 < feet[:, 0].mean() + 3 < center(-80)


def test_light_field_takes_away_what_it_is_told_to():
    field = light_field(rng(), 0.6, SIZE)
    assert field.shape == (SIZE, SIZE, 1)
    assert 0.4 <= field.min() < 0.6 and 0.8 < field.max() <= 1
    np.testing.assert_array_equal(light_field(rng(), 0, SIZE), 1)


def test_occluder_hides_at_most_its_share_of_the_person():
    person = np.zeros((SIZE, SIZE), np.float32)
    person[20:80, 35:60] = 1
    box = np.array([35, 20, 60, 80.0])
    occluders = Occluders(probability=1.0, size=(0.1, 0.5), most=0.2)
    found = [sample_occluder(rng(s), occluders, person, box) for s in range(60)]
    shares = [(f[1] * person).sum() / person.sum() for f in found if f is not None]
    assert len(shares) > 20
    assert 0.05 < max(shares) < 0.2 + 0.03  # its edge is soft
    never = replace(occluders, probability=0.0)
    assert all(sample_occluder(rng(s), never, person, box) is None for s in range(60))


def test_quiet_sensor_only_rounds():
    image = picture()
    np.testing.assert_array_equal(
        expose(rng(), QUIET, image), np.rint(image * 255).astype(np.uint8)
    )


def test_sensor_has_the_noise_gain_and_gamma_it_is_told_to():
    gray = np.full((SIZE, SIZE, 3), 0.4, np.float32)

    def exposed(**change):
        return expose(rng(), replace(QUIET, **change), gray) / 255

    assert exposed(noise=(0.05, 0.05)).std() == pytest.approx(0.05, rel=0.03)
    assert exposed(gain=(1.5, 1.5)).mean() == pytest.approx(0.6, abs=0.003)
    assert exposed(gamma=(2, 2)).mean() == pytest.approx(0.16, abs=0.003)
    cast = exposed(cast=0.3).mean(axis=(0, 1)) / 0.4
    assert np.ptp(cast) > 0.02 and np.abs(cast - 1).max() < 0.3 + 0.01


def test_jpeg_and_blurs_change_the_image_and_keep_its_mean():
    image = cv2.GaussianBlur(picture(), (0, 0), 1)
    for change in (
        dict(jpeg=1.0, quality=(30, 30)),
        dict(motion=1.0, motion_length=(5, 5)),
        dict(blur=(2, 2)),
    ):
        out = expose(rng(), replace(QUIET, **change), image) / 255
        assert np.abs(out - image).max() > 0.05
        assert out.mean() == pytest.approx(image.mean(), abs=0.01)


def test_motion_blur_smears_along_its_direction():
    dot = np.zeros((160, 160), np.float32)
    dot[80, 80] = 1
    smeared = motion_blur(dot, 8.0, 0.0)
    assert smeared.sum() == pytest.approx(1)
    assert (smeared[80] > 0.05).sum() == pytest.approx(8, abs=1)
    assert (smeared[:, 80] > 0.01).sum() == 1
    np.testing.assert_allclose(motion_blur(dot, 8.0, np.pi / 2), smeared.T, atol=1e-6)


def test_blur_is_relative_to_the_size():
    def spread(size):
        dot = np.zeros((size, size), np.float32)
        dot[size // 2, size // 2] = 1
        grid = np.arange(size) - size // 2
        return np.sqrt(blur(dot, 2.0).sum(axis=0) @ grid**2)

    assert spread(160) == pytest.approx(2, rel=0.03)
    assert spread(320) == pytest.approx(4, rel=0.03)


def test_value_noise_is_centered_and_smooth_by_its_coarsest_octave():
    noise = np.concatenate([value_noise(rng(s), SIZE, (6,)) for s in range(30)])
    assert abs(noise.mean()) < 0.05 and 0.2 < noise.std() < 0.7
    fine = value_noise(rng(), SIZE, (48,))
    coarse = value_noise(rng(), SIZE, (4,))
    assert (
        np.abs(np.diff(fine, axis=1)).mean()
        > 3 * np.abs(np.diff(coarse, axis=1)).mean()
    )
