"""A pinhole camera, and the sampling of its views of a person."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

#: Maximum offset of the person from the image center, in image sides.
MAX_SHIFT = 0.06
#: Minimum distance from the camera to a joint, in meters.
MIN_DEPTH = 0.2

Range = tuple[float, float]


@dataclass(frozen=True)
class Camera:
    """A pinhole camera with OpenCV's axes: x right, y down, z forward.

    Pixel centers have integer coordinates: (0, 0) is the center of the first pixel.

    Attributes:
        rotation (np.ndarray): (3, 3), from the world's axes to the camera's.
        translation (np.ndarray): (3,), the world origin in the camera frame, in meters.
        focal (float): Focal length in pixels.
        center (np.ndarray): (2,), where the optical axis meets the image, in pixels.
    """

    rotation: np.ndarray
    translation: np.ndarray
    focal: float
    center: np.ndarray

    def to_camera(self, points: np.ndarray) -> np.ndarray:
        """Transform world points (N, 3) to the camera frame, in meters."""
        return points @ self.rotation.T + self.translation

    def project(self, points: np.ndarray) -> np.ndarray:
        """Project world points (N, 3) to the image, (N, 2) in pixels."""
        points = self.to_camera(points)
        return self.focal * points[:, :2] / points[:, 2:] + self.center


def sample_camera(
    rng: np.random.Generator,
    joints: np.ndarray,
    size: int,
    azimuth: Range = (0.0, 0.0),
    elevation: Range = (0.0, 0.0),
    roll: Range = (0.0, 0.0),
    distance: Range = (4.0, 4.0),
    fill: Range = (0.8, 0.8),
) -> Camera:
    """Sample a camera that looks at a person.

    The focal length makes the longer side of the bounding box of all joints fill the
    requested share of the image. The box is slightly off center, but within the image.

    Args:
        rng (np.random.Generator): Random generator. Ranges are sampled uniformly.
        joints (np.ndarray): (J, 3), the person's joints in the world, in meters.
        size (int): Side of the image in pixels.
        azimuth (tuple): Degrees; 0 shows the front, 90 the person's left side.
        elevation (tuple): Degrees; positive looks down from above.
        roll (tuple): Degrees by which the image is rotated clockwise.
        distance (tuple): Meters from the camera to the middle of the joints.
        fill (tuple): Longer side of the joints' box, in image sides; at most 1.

    Raises:
        ValueError: If ``fill`` is not in (0, 1], or the camera is too close.
    """
    if not 0 < fill[0] <= fill[1] <= 1:
        raise ValueError(f"fill must be a range within (0, 1], but is {fill}")
    rotation = _look_rotation(
        *np.radians([rng.uniform(*limits) for limits in (azimuth, elevation, roll)])
    )
    away = rng.uniform(*distance)
    middle = (joints.min(axis=0) + joints.max(axis=0)) / 2
    translation = np.array([0.0, 0.0, away]) - rotation @ middle

    points = joints @ rotation.T + translation
    if points[:, 2].min() < MIN_DEPTH:
        raise ValueError(
            f"at a distance of {away:.2f} m, the camera is inside the person; "
            f"distance={distance} must start farther away"
        )
    slopes = points[:, :2] / points[:, 2:]
    low, high = slopes.min(axis=0), slopes.max(axis=0)
    focal = rng.uniform(*fill) * size / (high - low).max()
    room = (size - focal * (high - low)) / 2  # to each side, if centered
    shift = np.minimum(room, MAX_SHIFT * size) * rng.uniform(-1, 1, size=2)
    # The image extends from -0.5 to size - 0.5.
    center = (size - 1) / 2 - focal * (low + high) / 2 + shift
    return Camera(rotation, translation, float(focal), center)


def _look_rotation(azimuth: float, elevation: float, roll: float) -> np.ndarray:
    """Return the rotation (3, 3) from the world to a camera that looks at its origin.

    All angles are in radians.
    """
    forward = -np.array(
        [
            np.cos(elevation) * np.sin(azimuth),
            np.sin(elevation),
            np.cos(elevation) * np.cos(azimuth),
        ]
    )
    # A cross product with "up" would be undefined when looking straight down.
    right = np.array([np.cos(azimuth), 0.0, -np.sin(azimuth)])
    down = np.cross(forward, right)
    cos, sin = np.cos(roll), np.sin(roll)
    return np.array([cos * right - sin * down, sin * right + cos * down, forward])
