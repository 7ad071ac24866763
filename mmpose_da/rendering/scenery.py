"""Everything in an image except people: backdrop, light, occluders, and sensor.

Images are float32 BGR in [0, 1], (S, S, 3). Lengths in pixels refer to an image with a
side of ``REFERENCE_SIZE`` and scale with the image.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from .appearance import Range, sample_color
from .camera import Camera
from .renderer import Light
from .skeleton import JOINT_IDS

REFERENCE_SIZE = 160
# Number of attempts to draw an occluder that does not cover too much.
OCCLUDER_ATTEMPTS = 4
UP = np.array([0.0, 1.0, 0.0])
#: Limbs that cast a shadow on the ground: (start, end, radius in meters).
SHADOW_LIMBS = (
    ("pelvis", "thorax", 0.14),
    ("upper_neck", "head_top", 0.08),
    *(
        (f"{side}_{start}", f"{side}_{end}", radius)
        for side in ("left", "right")
        for start, end, radius in (
            ("shoulder", "elbow", 0.05),
            ("elbow", "hand", 0.04),
            ("hip", "knee", 0.075),
            ("knee", "ankle", 0.05),
            ("ankle", "toe", 0.045),
        )
    ),
)


@dataclass(frozen=True)
class Scene:
    """What is behind the people.

    Args:
        saturation, brightness (tuple): Of the colors of the wall and the floor.
        gradient (tuple): How much brightness falls or rises from top to bottom.
        vignette (tuple): How much darker the corners are.
        floor (tuple): Meters from the person to where the floor ends.
        floor_contrast (tuple): How much wall and floor differ, 0 to 1.
        texture (tuple): Contrast of the noise on all surfaces.
        clutter (tuple): Minimum and maximum number of shapes.
        clutter_contrast (tuple): How much the colors of the shapes differ from the
            wall's, 0 to 1.
        defocus (tuple): Sigma of the blur in pixels.
    """

    saturation: Range = (0.0, 0.25)
    brightness: Range = (0.5, 0.85)
    gradient: Range = (-0.1, 0.1)
    vignette: Range = (0.05, 0.25)
    floor: Range = (0.8, 2.0)
    floor_contrast: Range = (0.05, 0.3)
    texture: Range = (0.0, 0.02)
    clutter: tuple[int, int] = (0, 0)
    clutter_contrast: Range = (1.0, 1.0)
    defocus: Range = (0.0, 0.0)


@dataclass(frozen=True)
class Lighting:
    """How people and scene are lit.

    Args:
        azimuth (tuple): Degrees; 0 comes from behind the viewer, 90 from the right.
        elevation (tuple): Degrees above the horizon.
        strength, ambient (tuple): As in :class:`~.renderer.Light`.
        tint (tuple): Saturation of the color of the light.
        shadow (tuple): Darkness of the shadow on the ground, 0 to 1.
        unevenness (tuple): How much light is missing in patches of shade, 0 to 1.
    """

    azimuth: Range = (-50.0, 50.0)
    elevation: Range = (35.0, 65.0)
    strength: Range = (0.35, 0.5)
    ambient: Range = (0.5, 0.62)
    tint: Range = (0.0, 0.0)
    shadow: Range = (0.15, 0.35)
    unevenness: Range = (0.0, 0.0)


@dataclass(frozen=True)
class Occluders:
    """What stands in front of people.

    Args:
        probability (float): Probability of an occluder in an image.
        size (tuple): Thickness of the occluder, relative to the longer side of the
            person's box.
        most (float): Maximum share of the person that it covers. An occluder that would
            cover more is redrawn a few times and then left out.
    """

    probability: float = 0.0
    size: Range = (0.1, 0.3)
    most: float = 0.25


@dataclass(frozen=True)
class Sensor:
    """What the camera does to the image.

    Args:
        gain (tuple): Brightness factor.
        gamma (tuple): Brightness exponent.
        cast (float): Maximum relative change of each color channel.
        blur (tuple): Sigma of the blur of the whole image, in pixels.
        motion (float): Probability of motion blur.
        motion_length (tuple): Length of the motion blur in pixels.
        noise (tuple): Sigma of the noise of each pixel.
        jpeg (float): Probability of JPEG compression.
        quality (tuple): JPEG quality, 1 to 100.
    """

    gain: Range = (0.95, 1.05)
    gamma: Range = (0.95, 1.05)
    cast: float = 0.0
    blur: Range = (0.0, 0.3)
    motion: float = 0.0
    motion_length: Range = (2.0, 5.0)
    noise: Range = (0.0, 0.01)
    jpeg: float = 0.0
    quality: tuple[int, int] = (40, 90)


def value_noise(
    rng: np.random.Generator, size: int, octaves: tuple[int, ...], channels: int = 1
) -> np.ndarray:
    """Generate smooth noise from random grids with the given numbers of cells.

    Each grid has half the weight of the one before.

    Returns:
        np.ndarray: (size, size, channels), roughly within -1 to 1.
    """
    noise = np.zeros((size, size, channels), np.float32)
    for octave, cells in enumerate(octaves):
        grid = rng.random((cells + 1, cells + 1, channels), np.float32) * 2 - 1
        smooth = cv2.INTER_CUBIC if cells < 10 else cv2.INTER_LINEAR
        fine = cv2.resize(grid, (size, size), interpolation=smooth)
        noise += fine.reshape(noise.shape) * 0.5**octave
    return noise


def floor_mask(camera: Camera, size: int, behind: float) -> np.ndarray:
    """Return where the ground is seen if it ends ``behind`` meters behind the person.

    Returns:
        np.ndarray: (size, size) float32, 1 on the ground and 0 above it.
    """
    away = camera.rotation[2] * (1, 0, 1)
    away /= np.linalg.norm(away)
    right = np.cross(away, UP)
    points = [behind * away - 0.5 * right, behind * away + 0.5 * right]
    left, right = camera.project(np.array(points))
    along = (right - left) / np.linalg.norm(right - left)
    across = np.array([-along[1], along[0]])  # downward
    grid = np.arange(size, dtype=np.float32)
    distance = grid * across[0] + (grid * across[1])[:, None] - left @ across
    return np.clip(distance + 0.5, 0, 1).astype(np.float32)


def sample_backdrop(
    rng: np.random.Generator, scene: Scene, size: int, floor: np.ndarray
) -> np.ndarray:
    """Sample an image of the scene without people.

    Args:
        rng (np.random.Generator): Random generator.
        scene (Scene): Ranges to sample from.
        size (int): Side of the image.
        floor (np.ndarray): (size, size) mask from :func:`floor_mask`.

    Returns:
        np.ndarray: (size, size, 3) float32.
    """
    wall = np.array(sample_color(rng, scene.saturation, scene.brightness), np.float32)
    other = np.array(sample_color(rng, scene.saturation, scene.brightness), np.float32)
    contrast = rng.uniform(*scene.floor_contrast)
    rows = np.linspace(-0.5, 0.5, size, dtype=np.float32)
    slope = 1 + rng.uniform(*scene.gradient) * rows

    image = np.empty((size, size, 3), np.float32)
    image[:] = wall * slope[:, None, None]
    strength = rng.uniform(*scene.clutter_contrast)
    for _ in range(rng.integers(scene.clutter[0], scene.clutter[1] + 1)):
        color = np.array(sample_color(rng, (0.0, 0.7), (0.1, 0.95)))
        color = wall + strength * (color - wall)
        CLUTTER[rng.integers(len(CLUTTER))](rng, image, color)
    # The ground covers the lower end of distant shapes that stand on it.
    ground = (1 - 0.7 * contrast) * wall + contrast * (other - 0.3 * wall)
    image += floor[..., None] * (ground - image)
    texture = rng.uniform(*scene.texture)
    if texture > 0:
        image *= 1 + texture * value_noise(rng, size, (5, 13, 40, 90))
        image += texture * 0.3 * value_noise(rng, size, (7, 23), 3)
    image = blur(image, rng.uniform(*scene.defocus))
    fall = rng.uniform(*scene.vignette)
    image *= (1 - fall * 2 * (rows**2 + (rows**2)[:, None]))[..., None]
    return np.clip(image, 0, 1, out=image)


def _corner(rng: np.random.Generator, size: int) -> tuple[int, int]:
    x, y = rng.integers(-size // 8, size, 2)
    return int(x), int(y)


def _building(rng: np.random.Generator, image: np.ndarray, color: np.ndarray) -> None:
    size = len(image)
    x = int(rng.integers(-size // 5, size))
    y = int(rng.integers(-size // 8, size // 2))
    step_x, step_y = (int(n) for n in rng.integers(size // 14 + 2, size // 6 + 3, 2))
    columns, rows = int(rng.integers(2, 6)), size // step_y + 1
    cv2.rectangle(image, (x, y), (x + columns * step_x, size), color.tolist(), -1)
    pane = (color * rng.uniform(0.3, 1.6)).tolist()
    gap_x, gap_y = step_x // 4 + 1, step_y // 4 + 1
    for left in range(x, x + columns * step_x, step_x):
        for top in range(y, min(y + rows * step_y, size), step_y):
            corner = (left + step_x - gap_x, top + step_y - gap_y)
            cv2.rectangle(image, (left + gap_x, top + gap_y), corner, pane, -1)


def _pole(rng: np.random.Generator, image: np.ndarray, color: np.ndarray) -> None:
    size = len(image)
    top, low = ((int(x), int(y)) for x, y in zip(*_pole_ends(rng, size), strict=True))
    cv2.line(image, top, low, color.tolist(), int(rng.integers(1, size // 14 + 2)))


def _pole_ends(rng: np.random.Generator, size: int) -> tuple[np.ndarray, np.ndarray]:
    x = rng.uniform(0, size)
    lean = rng.uniform(-0.1, 0.1) * size
    return np.array([x - lean, x + lean]), np.array([-0.1 * size, 1.1 * size])


def _polygon(rng: np.random.Generator, image: np.ndarray, color: np.ndarray) -> None:
    size = len(image)
    corners = np.array(_corner(rng, size)) + rng.integers(0, size // 2, (4, 2))
    hull = cv2.convexHull(corners.astype(np.int32))
    cv2.fillConvexPoly(image, hull, color.tolist(), cv2.LINE_8)


def _lines(rng: np.random.Generator, image: np.ndarray, color: np.ndarray) -> None:
    size = len(image)
    for _ in range(rng.integers(2, 6)):
        width = int(rng.integers(1, size // 60 + 3))
        ends = _corner(rng, size), _corner(rng, size)
        cv2.line(image, *ends, color.tolist(), width)


def _foliage(rng: np.random.Generator, image: np.ndarray, color: np.ndarray) -> None:
    size = len(image)
    green = np.array([0.15, 0.35 + 0.4 * rng.random(), 0.2])
    color = (color + 2 * green) / 3
    middle = np.array(_corner(rng, size))
    for center in (middle + rng.normal(0, size / 10, (14, 2))).astype(int).tolist():
        shade = (color * rng.uniform(0.5, 1.3)).tolist()
        cv2.circle(
            image, center, int(rng.integers(size // 30 + 1, size // 12 + 2)), shade, -1
        )


def _figure(rng: np.random.Generator, image: np.ndarray, color: np.ndarray) -> None:
    """Draw random rounded bars that are as long and thick as limbs."""
    size = len(image)
    joint = _corner(rng, size)
    for _ in range(rng.integers(2, 5)):
        angle, length = rng.uniform(0, 2 * np.pi), rng.uniform(0.1, 0.25) * size
        end = (
            int(joint[0] + length * np.cos(angle)),
            int(joint[1] + length * np.sin(angle)),
        )
        width = int(rng.integers(size // 40 + 1, size // 14 + 2))
        cv2.line(image, joint, end, (color * rng.uniform(0.8, 1.2)).tolist(), width)
        joint = end


CLUTTER = (_building, _building, _pole, _polygon, _lines, _foliage, _figure)


def sample_light(
    rng: np.random.Generator, lighting: Lighting, camera: Camera
) -> tuple[Light, np.ndarray]:
    """Sample a light, and return it with the direction toward it in the world, (3,)."""
    azimuth, elevation = np.radians(
        [rng.uniform(*lighting.azimuth), rng.uniform(*lighting.elevation)]
    )
    away = camera.rotation[2] * (1, 0, 1)
    away /= np.linalg.norm(away)
    right = np.cross(away, UP)
    level = np.sin(azimuth) * right - np.cos(azimuth) * away
    world = np.cos(elevation) * level + np.sin(elevation) * UP
    light = Light(
        camera.rotation @ world,
        strength=rng.uniform(*lighting.strength),
        ambient=rng.uniform(*lighting.ambient),
        color=sample_color(rng, lighting.tint, (1.0, 1.0)),
    )
    return light, world


def ground_shadow(
    joints: np.ndarray, camera: Camera, light: np.ndarray, size: int
) -> np.ndarray:
    """Compute the soft shadow of a person on the ground.

    Args:
        joints (np.ndarray): (J, 3) in the world.
        camera (Camera): The camera.
        light (np.ndarray): (3,) direction toward the light in the world.
        size (int): Side of the image.

    Returns:
        np.ndarray: (size, size) float32, from 0 outside the shadow to 1 inside.
    """
    heights = np.maximum(joints[:, 1:2], 0)
    shadow = camera.project(joints - light * heights / max(light[1], 0.2))
    # A coarse grid is enough, because the shadow is blurred.
    coarse = max(size // 2, 1)
    mask: np.ndarray = np.zeros((coarse, coarse), np.float32)
    per_metre = camera.focal / camera.translation[2] * coarse / size
    points = (
        np.clip(shadow * coarse / size, -4 * coarse, 4 * coarse).astype(int).tolist()
    )
    for start, end, radius in SHADOW_LIMBS:
        width = max(round(2 * radius * per_metre), 1)
        cv2.line(mask, points[JOINT_IDS[start]], points[JOINT_IDS[end]], (1.0,), width)
    mask = cv2.GaussianBlur(mask, (0, 0), max(coarse / 50, 0.5))
    return cv2.resize(mask, (size, size), interpolation=cv2.INTER_LINEAR)


def light_field(rng: np.random.Generator, unevenness: float, size: int) -> np.ndarray:
    """Sample patches of light and shade over the whole image, (size, size, 1).

    A gradient plus blotches, from 1 - ``unevenness`` to 1.
    """
    angle = rng.uniform(0, 2 * np.pi)
    rows = np.linspace(-1, 1, size, dtype=np.float32)
    field = np.float32(np.cos(angle)) * rows + np.float32(np.sin(angle)) * rows[:, None]
    field = 0.6 * field[..., None] + value_noise(rng, size, (3, 6))
    return 1 - np.float32(unevenness) / (1 + np.exp(3 * field))


def sample_occluder(
    rng: np.random.Generator, occluders: Occluders, person: np.ndarray, box: np.ndarray
) -> tuple[np.ndarray, np.ndarray] | None:
    """Sample something in front of the person, or None.

    Args:
        rng (np.random.Generator): Random generator.
        occluders (Occluders): Ranges to sample from.
        person (np.ndarray): (S, S) share of each pixel that the person covers.
        box (np.ndarray): (4,) the person's box.

    Returns:
        tuple, optional: Colors (S, S, 3), and where they cover the image (S, S), 0 to
        1.
    """
    if rng.random() >= occluders.probability:
        return None
    for _ in range(OCCLUDER_ATTEMPTS):
        mask = _occluder_shape(rng, occluders.size, len(person), box)
        if (mask * person).sum() <= occluders.most * person.sum():
            break
    else:
        return None
    color = np.array(sample_color(rng, (0.0, 0.7), (0.15, 0.8)), np.float32)
    surface = color * (1 + 0.3 * value_noise(rng, len(person), (6, 20, 60)))
    return surface, cv2.GaussianBlur(mask, (0, 0), 0.7)


def _occluder_shape(
    rng: np.random.Generator, sides: Range, size: int, box: np.ndarray
) -> np.ndarray:
    """Draw a mask (size, size), float32, that is 1 inside an occluder.

    The occluder is a box, a pole, or foliage, somewhere in the person's box.
    """
    extent = max(box[2] - box[0], box[3] - box[1])
    thick = max(int(rng.uniform(*sides) * extent), 1)
    x = int(rng.uniform(box[0], box[2]))
    y = int(rng.uniform(box[1], box[3]))
    mask = np.zeros((size, size), np.float32)
    kind = rng.integers(3)
    if kind == 0:  # a box that stands on the ground
        width = int(thick * rng.uniform(1, 2.5))
        cv2.rectangle(mask, (x - width // 2, y), (x + width // 2, size), (1.0,), -1)
    elif kind == 1:  # a pole
        top, low = zip(*_pole_ends(rng, size), strict=True)
        shift = x - (top[0] + low[0]) / 2
        start, end = ((int(u + shift), int(v)) for u, v in (top, low))
        cv2.line(mask, start, end, (1.0,), max(thick // 2, 1))
    else:  # foliage
        spots = (np.array([x, y]) + rng.normal(0, thick / 2, (16, 2))).astype(int)
        for spot in spots.tolist():
            radius = max(int(thick * rng.uniform(0.15, 0.35)), 1)
            cv2.circle(mask, spot, radius, (1.0,), -1)
    return mask


def blur(image: np.ndarray, sigma: float) -> np.ndarray:
    """Blur an image by ``sigma`` pixels of the reference size."""
    sigma *= len(image) / REFERENCE_SIZE
    return cv2.GaussianBlur(image, (0, 0), sigma) if sigma > 0.2 else image


def motion_blur(image: np.ndarray, length: float, angle: float) -> np.ndarray:
    """Blur an image along a direction, by ``length`` pixels of the reference size.

    The angle is in radians.
    """
    length *= len(image) / REFERENCE_SIZE
    half = int(np.ceil(length / 2))
    grid = np.arange(-half, half + 1)
    x, y = np.meshgrid(grid, grid)
    along = x * np.cos(angle) + y * np.sin(angle)
    across = y * np.cos(angle) - x * np.sin(angle)
    kernel = np.clip(length / 2 + 0.5 - np.abs(along), 0, 1)
    kernel *= np.clip(1 - np.abs(across), 0, 1)
    return cv2.filter2D(image, -1, kernel / kernel.sum())


def expose(rng: np.random.Generator, sensor: Sensor, image: np.ndarray) -> np.ndarray:
    """Convert an image to what the sensor records: (S, S, 3) float32 to uint8."""
    gain = rng.uniform(*sensor.gain) * (1 + sensor.cast * rng.uniform(-1, 1, 3))
    image = np.clip(image * gain.astype(np.float32), 0, 1)
    image = cv2.pow(image, rng.uniform(*sensor.gamma))
    image = blur(image, rng.uniform(*sensor.blur))
    if rng.random() < sensor.motion:
        length, angle = rng.uniform(*sensor.motion_length), rng.uniform(0, np.pi)
        image = motion_blur(image, length, angle)
    sigma = rng.uniform(*sensor.noise)
    if sigma > 0:
        image = image + np.float32(sigma) * rng.standard_normal(image.shape, np.float32)
    image = np.rint(np.clip(image, 0, 1) * 255).astype(np.uint8)
    if rng.random() < sensor.jpeg:
        quality = int(rng.integers(sensor.quality[0], sensor.quality[1] + 1))
        _, data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])
        image = cv2.imdecode(data, cv2.IMREAD_COLOR)
    return image
