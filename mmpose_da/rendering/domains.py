"""The domains of rendered people, and the rendering of a single image.

A :class:`Domain` is a table of ranges and probabilities. How far apart two domains are
is a matter of numbers, each of which can be changed alone with
:func:`dataclasses.replace`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from .appearance import Range, Wardrobe, dress, joint_radii, sample_outfit
from .camera import Camera, sample_camera
from .poses import sample_pose
from .renderer import Layer, Light, nearest_of, render_limbs
from .scenery import (
    UP,
    Lighting,
    Occluders,
    Scene,
    Sensor,
    expose,
    floor_mask,
    ground_shadow,
    light_field,
    sample_backdrop,
    sample_light,
    sample_occluder,
)
from .skeleton import JOINT_IDS, Body, forward_kinematics, sample_body

# Meters by which a surface must be in front of the limb around a joint to hide the
# joint.
DEPTH_TOLERANCE = 0.04
# Half-width of the head, in head lengths.
HEAD_HALF_WIDTH = 0.36
# Relative deviation from even steps between the people of a crowd.
UNEVEN_STEPS = 0.25


@dataclass(frozen=True)
class Bystanders:
    """Other people, behind the main person and to the sides.

    Args:
        chances (tuple): Probability of each bystander. They are drawn independently.
        aside (tuple): Meters to the left or right of the main person.
        behind (tuple): Meters behind the main person.
    """

    chances: tuple[float, ...] = ()
    aside: Range = (0.7, 1.5)
    behind: Range = (1.0, 4.0)


@dataclass(frozen=True)
class Crowd:
    """Several labeled people on the same ground, so close that they overlap.

    They stand in a row, one nearer than the other in random order.

    Args:
        people (tuple): Minimum and maximum number of people, at least 2.
        step (tuple): Meters from one person to the next, across the view. It is sampled
            for an image, and determines how crowded it is.
        behind (tuple): Meters from one person to the next, into the view, in addition
            to what ``apart`` requires.
        apart (float): Minimum distance of two people on the ground, in meters.
        turn (tuple): Degrees by which each person turns to the left.

    Raises:
        ValueError: If ``people`` is not a range from 2 on, or a distance is negative.
    """

    people: tuple[int, int] = (2, 4)
    step: Range = (0.1, 0.8)
    behind: Range = (0.0, 0.3)
    apart: float = 0.5
    turn: Range = (-50.0, 50.0)

    def __post_init__(self) -> None:
        low, high = self.people
        if not 2 <= low <= high:
            raise ValueError(f"people must be a range from 2 on, not {self.people}")
        distances = dict(step=self.step, behind=self.behind, apart=(self.apart,))
        for name, values in distances.items():
            if min(values) < 0:
                raise ValueError(f"{name} must not be negative, but is {values}")


@dataclass(frozen=True)
class Domain:
    """What the images of a domain have in common.

    Args:
        name (str): Name of the domain.
        poses (Mapping[str, float]): Weight of each pose family.
        azimuth, elevation, roll (tuple): Camera angles in degrees; see
            :func:`~.camera.sample_camera`.
        from_behind (float): Probability of sampling any azimuth instead.
        distance (tuple): Meters to the camera.
        fill (tuple): Extent of the person, or of all people of a crowd, in image sides.
        wardrobe, scene, lighting, bystanders, occluders, sensor: The other factors.
        supersampling (float): See :func:`~.renderer.render_limbs`.
        crowd (Crowd, optional): The people of an image. Defaults to None: one person.
    """

    name: str
    poses: Mapping[str, float]
    azimuth: Range
    elevation: Range
    roll: Range
    from_behind: float = 0.0
    distance: Range = (4.0, 6.0)
    fill: Range = (0.8, 0.92)
    wardrobe: Wardrobe = field(default_factory=Wardrobe)
    scene: Scene = field(default_factory=Scene)
    lighting: Lighting = field(default_factory=Lighting)
    bystanders: Bystanders = field(default_factory=Bystanders)
    occluders: Occluders = field(default_factory=Occluders)
    sensor: Sensor = field(default_factory=Sensor)
    supersampling: float = 1.5
    crowd: Crowd | None = None


STUDIO = Domain(
    name="studio",
    poses=dict(standing=0.55, walking=0.25, reaching=0.2),
    azimuth=(-25.0, 25.0),
    elevation=(0.0, 8.0),
    roll=(0.0, 0.0),
)

STREET = Domain(
    name="street",
    poses=dict(standing=0.34, walking=0.3, reaching=0.25, sitting=0.07, acrobatic=0.04),
    azimuth=(-40.0, 40.0),
    elevation=(-5.0, 20.0),
    roll=(-8.0, 8.0),
    from_behind=0.03,
    distance=(2.8, 6.0),
    fill=(0.78, 0.92),
    wardrobe=Wardrobe(
        saturation=(0.05, 0.9),
        brightness=(0.12, 0.95),
        top_pattern=0.3,
        leg_pattern=0.15,
        sleeves=(0.0, 2.0),
        legs=(0.4, 2.0),
        looseness=(1.0, 1.2),
        skirt=0.15,
        long_hair=0.4,
        hat=0.25,
        backpack=0.15,
        dark_hair=0.6,
    ),
    scene=Scene(
        saturation=(0.0, 0.6),
        brightness=(0.25, 0.95),
        gradient=(-0.5, 0.5),
        vignette=(0.0, 0.2),
        floor=(1.0, 8.0),
        floor_contrast=(0.2, 1.0),
        texture=(0.05, 0.25),
        clutter=(3, 9),
        clutter_contrast=(0.4, 1.0),
        defocus=(0.6, 2.2),
    ),
    lighting=Lighting(
        azimuth=(-120.0, 120.0),
        elevation=(15.0, 75.0),
        strength=(0.55, 1.1),
        ambient=(0.45, 0.65),
        tint=(0.0, 0.3),
        shadow=(0.2, 0.6),
        unevenness=(0.0, 0.35),
    ),
    bystanders=Bystanders(chances=(0.25, 0.05)),
    occluders=Occluders(probability=0.08),
    sensor=Sensor(
        gain=(0.9, 1.35),
        gamma=(0.75, 1.2),
        cast=0.2,
        blur=(0.0, 0.4),
        motion=0.05,
        noise=(0.004, 0.016),
        jpeg=0.7,
        quality=(40, 90),
    ),
)

#: The street with several people, all of them labeled.
CROWD = replace(
    *(STREET,),
    name="crowd",
    azimuth=(-25.0, 25.0),
    distance=(4.5, 7.0),
    fill=(0.84, 0.94),
    scene=replace(STREET.scene, floor=(2.5, 8.0)),
    bystanders=Bystanders(),
    crowd=Crowd(),
)

DOMAINS: dict[str, Domain] = {domain.name: domain for domain in (STUDIO, STREET, CROWD)}


@dataclass(frozen=True)
class Sample:
    """An image and the labels of one person in it.

    Attributes:
        image (np.ndarray): (S, S, 3) uint8, BGR.
        joints_world (np.ndarray): (J, 3) in meters, see :mod:`.skeleton`.
        joints (np.ndarray): (J, 2) in pixels.
        visible (np.ndarray): (J,) bool; in the image, and hidden neither by the body
            itself, nor by other people, nor by an occluder.
        box (np.ndarray): (4,) x1, y1, x2, y2 in pixels, around the person as if nothing
            were in front, within the image.
        head_box (np.ndarray): (4,) x1, y1, x2, y2 in pixels, around the head including
            the chin, as in MPII; not clipped.
        camera (Camera): The camera that took the image.
    """

    image: np.ndarray
    joints_world: np.ndarray
    joints: np.ndarray
    visible: np.ndarray
    box: np.ndarray
    head_box: np.ndarray
    camera: Camera


def render_sample(domain: Domain, rng: np.random.Generator, size: int = 160) -> Sample:
    """Render an image of a domain with one person.

    See :func:`render_people`. Of a crowd, this returns the labels of the first person.
    """
    return render_people(domain, rng, size)[0]


def render_people(
    domain: Domain, rng: np.random.Generator, size: int = 160
) -> list[Sample]:
    """Render an image of a domain.

    Args:
        domain (Domain): The domain to sample from.
        rng (np.random.Generator): Source of all randomness: the same state gives the
            same image.
        size (int): Side of the image in pixels.

    Returns:
        list[Sample]: The image with the labels of each person, of whom there is one
        unless the domain is a crowd.
    """
    people = _sample_people(domain, rng)
    worlds = [world for _, world in people]
    behind = rng.random() < domain.from_behind
    camera = sample_camera(
        rng,
        np.concatenate(worlds),
        size,
        azimuth=(-180.0, 180.0) if behind else domain.azimuth,
        elevation=domain.elevation,
        roll=domain.roll,
        distance=domain.distance,
        fill=domain.fill,
    )
    light, to_light = sample_light(rng, domain.lighting, camera)
    layers = [
        _render_person(domain, rng, body, world, camera, light, size)
        for body, world in people
    ]
    front = nearest_of(layers)

    floor = floor_mask(camera, size, rng.uniform(*domain.scene.floor))
    image = sample_backdrop(rng, domain.scene, size, floor)
    darkness = rng.uniform(*domain.lighting.shadow)
    shadows = [ground_shadow(world, camera, to_light, size) for world in worlds]
    image *= (1 - darkness * (np.max(shadows, axis=0) * floor))[..., None]
    for chance in domain.bystanders.chances:
        if rng.random() < chance:
            image = _render_bystander(domain, rng, camera, light, size).over(image)
    image = front.over(image)

    points = [camera.project(world) for world in worlds]
    visible = [
        _seen(front, camera, world, joints, body)
        for (body, world), joints in zip(people, points, strict=True)
    ]
    occluder = sample_occluder(
        rng, domain.occluders, front.alpha, _box_around(front.alpha)
    )
    if occluder is not None:
        surface, mask = occluder
        image += mask[..., None] * (surface - image)
        for joints, seen in zip(points, visible, strict=True):
            inside = np.clip(np.rint(joints), 0, size - 1).astype(int)
            seen &= mask[inside[:, 1], inside[:, 0]] < 0.5

    unevenness = rng.uniform(*domain.lighting.unevenness)
    if unevenness > 0:
        image *= light_field(rng, unevenness, size)
    image = expose(rng, domain.sensor, image)
    return [
        Sample(
            image=image,
            joints_world=world,
            joints=joints,
            visible=seen,
            box=_box_around(layer.alpha),
            head_box=_head_box(joints, camera, world),
            camera=camera,
        )
        for world, joints, seen, layer in zip(
            worlds, points, visible, layers, strict=True
        )
    ]


def _sample_people(
    domain: Domain, rng: np.random.Generator
) -> list[tuple[Body, np.ndarray]]:
    """Sample the bodies of the labeled people and their joints (J, 3) in the world."""
    crowd = domain.crowd
    if crowd is None:
        return [_sample_person(domain, rng)]
    people = []
    for place in _sample_places(crowd, rng):
        body, world = _sample_person(domain, rng)
        turn = np.radians(rng.uniform(*crowd.turn))
        people.append((body, _turned(world, turn) + place))
    return people


def _sample_person(domain: Domain, rng: np.random.Generator) -> tuple[Body, np.ndarray]:
    body = sample_body(rng)
    return body, forward_kinematics(body, sample_pose(rng, domain.poses))


def _sample_places(crowd: Crowd, rng: np.random.Generator) -> np.ndarray:
    """Sample where the people of a crowd stand, (N, 3), around the world's origin."""
    count = int(rng.integers(crowd.people[0], crowd.people[1] + 1))
    even = np.arange(count) - (count - 1) / 2
    step = rng.uniform(*crowd.step)
    x = step * (even + rng.uniform(-UNEVEN_STEPS, UNEVEN_STEPS, count))
    # Any two people differ in depth by this at least.
    needed = np.sqrt(max(crowd.apart**2 - np.diff(x).min() ** 2, 0))
    z = (needed + rng.uniform(*crowd.behind)) * rng.permutation(even)
    return np.column_stack([x, np.zeros(count), z])


def _turned(world: np.ndarray, turn: float) -> np.ndarray:
    """Turn joints (J, 3) about the vertical through the origin, by radians."""
    cos, sin = np.cos(turn), np.sin(turn)
    return world @ np.array([[cos, 0, -sin], [0, 1, 0], [sin, 0, cos]])


def _render_person(
    domain: Domain,
    rng: np.random.Generator,
    body: Body,
    world: np.ndarray,
    camera: Camera,
    light: Light,
    size: int,
) -> Layer:
    outfit = sample_outfit(rng, domain.wardrobe)
    limbs = dress(body, camera.to_camera(world), outfit)
    return render_limbs(limbs, camera, light, size, domain.supersampling)


def _render_bystander(
    domain: Domain,
    rng: np.random.Generator,
    camera: Camera,
    light: Light,
    size: int,
) -> Layer:
    """Render a person on the same ground, farther away and to one side."""
    body, world = _sample_person(domain, rng)
    world = _turned(world, rng.uniform(0, 2 * np.pi))
    away = camera.rotation[2] * (1, 0, 1)
    away /= np.linalg.norm(away)
    side = rng.choice((-1, 1)) * rng.uniform(*domain.bystanders.aside)
    world = world + side * np.cross(away, UP)
    world = world + rng.uniform(*domain.bystanders.behind) * away
    return _render_person(domain, rng, body, world, camera, light, size)


def _seen(
    front: Layer,
    camera: Camera,
    world: np.ndarray,
    points: np.ndarray,
    body: Body,
) -> np.ndarray:
    """Return whether each joint is in the image and not behind another limb, (J,).

    The layer shows the limbs of all people.
    """
    size = front.alpha.shape[0]
    inside = ((points > -0.5) & (points < size - 0.5)).all(axis=1)
    own_surface = camera.to_camera(world)[:, 2] - joint_radii(body)
    return inside & (front.nearest(points) > own_surface - DEPTH_TOLERANCE)


def _box_around(alpha: np.ndarray) -> np.ndarray:
    """Return x1, y1, x2, y2 (4,) around the pixels that are at least half covered."""
    covered = alpha >= 0.5
    columns = np.flatnonzero(covered.any(axis=0))
    rows = np.flatnonzero(covered.any(axis=1))
    return np.array([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1], np.float64)


def _head_box(points: np.ndarray, camera: Camera, world: np.ndarray) -> np.ndarray:
    """Return a box (4,) around a head of fixed proportions, from neck to head top.

    The head is about as deep as it is wide: the box keeps its width where the head is
    tilted toward the viewer and its two ends come close to each other.
    """
    ends = [JOINT_IDS["upper_neck"], JOINT_IDS["head_top"]]
    neck, top = points[ends]
    length = np.linalg.norm(world[ends[1]] - world[ends[0]])
    depth = camera.to_camera(world[ends])[:, 2].mean()
    half_width = HEAD_HALF_WIDTH * length * camera.focal / depth
    x, y = top - neck
    across = half_width * np.array([-y, x]) / max(np.hypot(x, y), 1e-9)
    corners = np.array([neck - across, neck + across, top - across, top + across])
    middle = (neck + top) / 2
    low = np.minimum(corners.min(axis=0), middle - half_width)
    high = np.maximum(corners.max(axis=0), middle + half_width)
    return np.concatenate([low, high])
