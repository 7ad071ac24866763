"""A small software rasterizer for people made of limbs.

A :class:`Limb` is a tapered capsule with an elliptic cross-section. Seen from far away
compared with its thickness, its surface over a pixel has a closed form, so a limb takes
only a few vectorized operations on its own bounding box: no mesh, no ray marching. A
depth buffer determines which limb is visible in a pixel, and all limbs are shaded at
once at the end.

Colors are BGR in [0, 1]. The camera frame is OpenCV's: x right, y down, z forward.
Pixel (0, 0) has its center at (0, 0).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np

from .camera import Camera

PATTERNS = ("plain", "hoops", "stripes", "checks", "gradient", "logo", "hair")

# Meters; limbs closer than this to the camera plane are not drawn.
NEAR = 0.2
# Minimum radius of a limb in pixels, so that it leaves no holes in the grid.
MIN_RADIUS = 0.6
# Number of positions along a limb at which its radius is stored.
KNOTS = 7


@dataclass(frozen=True)
class Material:
    """The color of a limb's surface, as a function of the position on it.

    Args:
        color (tuple[float, float, float]): The base color.
        pattern (str): One of ``PATTERNS``. ``hoops`` run around the limb, ``stripes``
            along it, and ``checks`` combine both; ``gradient`` goes from the base color
            to the accent along the limb; ``logo`` is a patch on the front; ``hair``
            covers the back and the far end.
        accent (tuple[float, float, float]): The second color of the pattern.
        period (float): Size of the pattern in meters. For ``hair``, how far it reaches
            around to the front: 0 covers the back half, 1 everything, and -1 only the
            far end.
        cut (float): Position along the limb, from 0 to 1, at which another material
            begins, such as the end of a sleeve.
        beyond (Material, optional): That material.
    """

    color: tuple[float, float, float]
    pattern: str = "plain"
    accent: tuple[float, float, float] = (0.0, 0.0, 0.0)
    period: float = 0.1
    cut: float = 1.0
    beyond: Material | None = None

    def __post_init__(self) -> None:
        if self.pattern not in PATTERNS:
            raise ValueError(
                f"unknown pattern {self.pattern!r}; it is none of {', '.join(PATTERNS)}"
            )

    def until(self, cut: float, beyond: Material) -> Material:
        """Return this material up to ``cut``, and the other one after it."""
        return replace(self, cut=cut, beyond=beyond)

    def paint(self, along: np.ndarray, across: np.ndarray, length: float) -> np.ndarray:
        """Compute the colors of points on the surface.

        Args:
            along (np.ndarray): (N,) position along the limb, from 0 to 1. Points on a
                cap have 0 or 1.
            across (np.ndarray): (N, 2) offset from the axis in meters, to the limb's
                side and to its front.
            length (float): The limb's length in meters.

        Returns:
            np.ndarray: (N, 3) colors, float32.
        """
        color = np.empty((len(along), 3), np.float32)
        color[:] = self.color
        if self.pattern == "gradient":
            share = np.clip(along, 0, 1)[:, None]
            accent = np.asarray(self.accent, np.float32)
            color += share * (accent - np.asarray(self.color, np.float32))
        elif self.pattern != "plain":
            color[self._is_accent(along, across, length)] = self.accent
        if self.beyond is not None:
            bare = along > self.cut
            if bare.any():
                color[bare] = self.beyond.paint(along[bare], across[bare], length)
        return color

    def _is_accent(
        self, along: np.ndarray, across: np.ndarray, length: float
    ) -> np.ndarray:
        """Return whether the pattern shows its second color, (N,)."""
        side, front = across[:, 0], across[:, 1]
        if self.pattern == "hair":
            reach = np.hypot(side, front) * self.period
            return (front < reach) | (along > 0.8)
        if self.pattern == "logo":
            middle = (np.abs(along - 0.66) < 0.14) & (np.abs(side) < self.period)
            return middle & (front > 0)
        hoop = np.floor(along * (length / self.period)).astype(np.int32) & 1
        if self.pattern == "hoops":
            return hoop == 1
        stripe = np.floor(side / self.period).astype(np.int32) & 1
        return stripe == 1 if self.pattern == "stripes" else hoop != stripe


@dataclass(frozen=True)
class Limb:
    """A tapered capsule with an elliptic cross-section and rounded ends.

    Args:
        start, end (np.ndarray): (3,) ends of the axis in meters. They may coincide.
        radii (Sequence[float] | np.ndarray): Half-widths to the side in meters, at
            positions evenly spaced from start to end; a single one gives a constant
            width. They are resampled to ``KNOTS`` positions.
        material (Material): Material of the surface.
        flatness (float): Half-width to the front over half-width to the side.
        side (np.ndarray, optional): (3,) approximate direction of the side; arbitrary
            by default. The front is ``side x axis``.
        cap (float): Length of the rounded ends over the half-width to the side.
    """

    start: np.ndarray
    end: np.ndarray
    radii: Sequence[float] | np.ndarray
    material: Material
    flatness: float = 1.0
    side: np.ndarray | None = None
    cap: float = 1.0


@dataclass(frozen=True)
class Light:
    """A distant light, plus ambient light.

    Args:
        direction (np.ndarray): (3,) unit vector toward the light, in the camera frame.
        strength (float): Brightness that the light adds to a surface that faces it.
        ambient (float): Brightness of a surface that faces away.
        color (tuple[float, float, float]): The color of the light.
        rim (float): How much darker the surface gets where it turns away from the
            viewer, 0 to 1.
        crease (float): How much darker it gets next to what is in front of it, 0 to 1.
    """

    direction: np.ndarray
    strength: float = 0.6
    ambient: float = 0.5
    color: tuple[float, float, float] = (1.0, 1.0, 1.0)
    rim: float = 0.25
    crease: float = 0.35


@dataclass(frozen=True)
class Layer:
    """A drawn image with transparency.

    Args:
        color (np.ndarray): (S, S, 3) float32, premultiplied by alpha.
        alpha (np.ndarray): (S, S) float32, the covered share of each pixel.
        depth (np.ndarray): (S * k, S * k) float32, meters from the camera plane,
            infinite where nothing is drawn; k is the supersampling factor.
    """

    color: np.ndarray
    alpha: np.ndarray
    depth: np.ndarray

    def over(self, image: np.ndarray) -> np.ndarray:
        """Composite the layer over an (S, S, 3) image."""
        return self.color + image * (1 - self.alpha[..., None])

    def nearest(self, points: np.ndarray) -> np.ndarray:
        """Return the depth of what is drawn at image points.

        Args:
            points (np.ndarray): (N, 2) in pixels.

        Returns:
            np.ndarray: (N,) the largest depth within a pixel of the point, so that an
            edge that just touches it does not count; infinite outside the image.
        """
        height, width = self.depth.shape
        scale = width / self.alpha.shape[1]
        column, row = np.rint((points + 0.5) * scale - 0.5).astype(int).T
        inside = (column >= 0) & (column < width) & (row >= 0) & (row < height)
        depth = np.full(len(points), np.inf, np.float32)
        for i in np.flatnonzero(inside):
            x, y = column[i], row[i]
            depth[i] = self.depth[max(y - 1, 0) : y + 2, max(x - 1, 0) : x + 2].max()
        return depth


def render_limbs(
    limbs: Sequence[Limb],
    camera: Camera,
    light: Light,
    size: int,
    supersampling: float = 1.5,
) -> Layer:
    """Draw limbs given in the camera frame.

    Args:
        limbs (Sequence[Limb]): Limbs in any order.
        camera (Camera): The camera. Its focal length and center are used.
        light (Light): The light.
        size (int): Side of the image in pixels.
        supersampling (float): The limbs are drawn on a grid that is finer by this
            factor, and averaged, for smooth edges.

    Returns:
        Layer: The limbs on a transparent background.
    """
    fine = round(size * supersampling)
    scale = fine / size
    focal = camera.focal * scale
    center = (np.asarray(camera.center) + 0.5) * scale - 0.5
    depth = np.full(fine * fine, np.inf, np.float32)
    color: np.ndarray = np.zeros((fine * fine, 4), np.float32)
    limbs = [limb for limb in limbs if min(limb.start[2], limb.end[2]) > NEAR]
    drawn = np.zeros(0, np.intp)
    if limbs:
        shapes = _project(limbs, focal, center)
        drawn, normal, paint = _rasterise(limbs, shapes, fine, depth)
        color[drawn, :3] = _shade(normal, paint, light)
        color[drawn, 3] = 1
    depth = depth.reshape(fine, fine)
    color = color.reshape(fine, fine, 4)
    if len(drawn) and light.crease:
        _darken_creases(color, depth, drawn, light.crease)
    if fine != size:
        color = cv2.resize(color, (size, size), interpolation=cv2.INTER_AREA)
    return Layer(color[..., :3], color[..., 3], depth)


def nearest_of(layers: Sequence[Layer]) -> Layer:
    """Combine layers of the same size: the nearest surface covers what is behind it."""
    if len(layers) == 1:
        return layers[0]
    depths = np.stack([layer.depth for layer in layers])
    depth, owner = depths.min(axis=0), depths.argmin(axis=0)
    color = np.zeros_like(layers[0].color)
    alpha = np.zeros_like(layers[0].alpha)
    for number, layer in enumerate(layers):
        shown = ((owner == number) & (depth < np.inf)).astype(np.float32)
        if shown.shape != alpha.shape:
            shown = cv2.resize(shown, alpha.shape, interpolation=cv2.INTER_AREA)
        # The color of a pixel is that of all its drawn parts, shown or not.
        color += layer.color * (shown / np.maximum(layer.alpha, 1e-6))[..., None]
        alpha += shown
    return Layer(color, alpha, depth)


def _frames(limbs: Sequence[Limb]) -> np.ndarray:
    """Return a frame for each limb, (L, 3, 3).

    The rows are unit vectors to the side, to the front, and along the axis.
    """
    axis = np.array([limb.end - limb.start for limb in limbs])
    length = np.linalg.norm(axis, axis=1, keepdims=True)
    axis = np.where(length > 1e-6, axis / np.maximum(length, 1e-6), (0.0, -1.0, 0.0))
    # By default, the side is the coordinate direction that is farthest from the axis.
    default = np.eye(3)[np.argmin(np.abs(axis), axis=1)]
    wish = np.array(
        [default[i] if b.side is None else b.side for i, b in enumerate(limbs)]
    )
    for hint in (wish, default):
        side = hint - (hint * axis).sum(1, keepdims=True) * axis
        norm = np.linalg.norm(side, axis=1, keepdims=True)
        # A requested side along the axis has no effect.
        default[:] = np.where(norm > 1e-6, side / np.maximum(norm, 1e-6), default)
    return np.stack([default, np.cross(default, axis), axis], axis=1)


@dataclass(frozen=True)
class _Shapes:
    """The shapes of L limbs in the image; each attribute is (L,) unless noted.

    In the image, a limb has a direction u (along its projected axis) and e (across it).
    A point on its surface is ``axis(t) + r(t) * offset``, where the offset lies on the
    elliptic cross-section, or on the ellipsoid of a rounded end. Lengths in the image
    are in pixels, offsets in units of the radius. The visible surface at position c of
    the cross-section, -1 to 1 from edge to edge, has the offset ``c * far + s * near``
    along u and z, with c^2 + s^2 = 1.
    """

    x0: np.ndarray  # image of the start
    y0: np.ndarray
    ux: np.ndarray  # direction of the axis in the image
    uy: np.ndarray
    length: np.ndarray  # of the axis in the image
    z0: np.ndarray  # depth of the start, and its change up to the end
    dz: np.ndarray
    half: np.ndarray  # half-width across the axis, in radii
    far_u: np.ndarray
    near_u: np.ndarray
    far_z: np.ndarray
    near_z: np.ndarray
    cap_u: np.ndarray  # extent of a rounded end along u and z, in radii
    cap_z: np.ndarray
    radii: np.ndarray  # (L, KNOTS) pixels
    metres_per_pixel: float  # at a depth of one meter
    to_limb: np.ndarray  # (L, 3, 3) from (e, u, z) to side, front, axis
    to_normal: np.ndarray  # (L, 3, 3) from side, front, axis to a normal in the camera


def _project(limbs: Sequence[Limb], focal: float, center: np.ndarray) -> _Shapes:
    """Project limbs for a camera with this focal length and center in pixels."""
    start = np.array([limb.start for limb in limbs])
    end = np.array([limb.end for limb in limbs])
    z0, z1 = start[:, 2], end[:, 2]
    p0 = focal * start[:, :2] / z0[:, None] + center
    p1 = focal * end[:, :2] / z1[:, None] + center
    frames = _frames(limbs)
    length = np.hypot(*(p1 - p0).T)
    # A limb that points at the viewer, or a ball, uses what is left of its axis
    # direction.
    degenerate = length < 0.1
    u = np.where(degenerate[:, None], frames[:, 2, :2], p1 - p0)
    norm = np.hypot(*u.T)[:, None]
    u = np.where(norm > 1e-9, u / np.maximum(norm, 1e-9), (1.0, 0.0))
    ux, uy = u.T

    places = np.linspace(0, 1, KNOTS)
    radii = np.array(
        [np.interp(places, np.linspace(0, 1, len(b.radii)), b.radii) for b in limbs]
    )
    radii *= focal / (z0[:, None] + (z1 - z0)[:, None] * places)

    image_axes = np.zeros((len(limbs), 3, 3))  # rows e, u, z
    image_axes[:, 0, 0], image_axes[:, 0, 1] = -uy, ux
    image_axes[:, 1, 0], image_axes[:, 1, 1] = ux, uy
    image_axes[:, 2, 2] = 1
    axes = frames @ image_axes.transpose(0, 2, 1)
    (se, su, sz), (fe, fu, fz), (ae, au, az) = axes.transpose(1, 2, 0)
    q = np.array([limb.flatness for limb in limbs])
    cap = np.array([limb.cap for limb in limbs])
    half = np.sqrt(se**2 + (q * fe) ** 2 + (cap * ae) ** 2)
    cos, sin = se / half, q * fe / half
    near_u, near_z = q * fu * cos - su * sin, q * fz * cos - sz * sin
    to_viewer = np.where(near_z > 0, -1, 1)
    values = dict(
        x0=p0[:, 0],
        y0=p0[:, 1],
        ux=ux,
        uy=uy,
        length=np.where(degenerate, 1e-2, length),
        z0=z0,
        dz=z1 - z0,
        half=half,
        far_u=su * cos + q * fu * sin,
        near_u=near_u * to_viewer,
        far_z=sz * cos + q * fz * sin,
        near_z=near_z * to_viewer,
        cap_u=np.sqrt(su**2 + (q * fu) ** 2 + (cap * au) ** 2),
        cap_z=np.sqrt(near_z**2 + (cap * az) ** 2),
        radii=np.maximum(radii, MIN_RADIUS),
        to_limb=axes,
        # The gradient of the ellipsoid. Its axis component is 0 except at the ends.
        to_normal=frames.transpose(0, 2, 1)
        / np.stack([np.ones_like(q), q**2, cap**2], 1)[:, None],
    )
    values = {name: value.astype(np.float32) for name, value in values.items()}
    return _Shapes(metres_per_pixel=1 / focal, **values)


def _candidates(
    shapes: _Shapes, size: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return limb, column, and row (N,) of all pixels that a limb may cover.

    These are the pixels in the strip around its axis and in the box around its ends.
    """
    ux, uy = shapes.ux, shapes.uy
    widest = shapes.radii.max(axis=1)
    reach = widest * np.maximum(shapes.half, shapes.cap_u) + 1
    x1, y1 = shapes.x0 + shapes.length * ux, shapes.y0 + shapes.length * uy
    left = np.clip(np.minimum(shapes.x0, x1) - reach, 0, size)
    right = np.clip(np.maximum(shapes.x0, x1) + reach, -1, size - 1)
    top = np.clip(np.minimum(shapes.y0, y1) - reach, 0, size).astype(int)
    low = np.clip(np.maximum(shapes.y0, y1) + reach, -1, size - 1).astype(int)

    # One entry per row of a limb, then one per pixel of that row.
    limb, row = _expand(np.arange(len(top)), top, low)
    steep = np.where(np.abs(uy) > 1e-3, uy, 1e-3)[limb]
    middle = shapes.x0[limb] + (row - shapes.y0[limb]) * ux[limb] / steep
    margin = (widest * shapes.half)[limb] / np.abs(steep)
    first = np.ceil(np.maximum(left[limb], middle - margin)).astype(int)
    last = np.floor(np.minimum(right[limb], middle + margin)).astype(int)
    entry, column = _expand(np.arange(len(limb)), first, last)
    return limb[entry], column.astype(np.float32), row[entry].astype(np.float32)


def _expand(
    owner: np.ndarray, first: np.ndarray, last: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return owners and values of all integers from ``first`` to ``last``."""
    count = np.maximum(last - first + 1, 0)
    before = np.cumsum(count) - count
    number = np.arange(count.sum()) + np.repeat(first - before, count)
    return np.repeat(owner, count), number


def _rasterise(
    limbs: Sequence[Limb], shapes: _Shapes, size: int, depth: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Find what is visible in each pixel, for all limbs at once.

    Args:
        limbs (Sequence[Limb]): The limbs.
        shapes (_Shapes): Their shapes in the image.
        size (int): Side of the grid.
        depth (np.ndarray): (size * size,) depth buffer, filled in place.

    Returns:
        tuple: For the M covered pixels: index (M,), surface normal (M, 3), not of unit
        length, and color (M, 3).
    """
    limb, x, y = _candidates(shapes, size)
    rise = np.diff(shapes.radii, axis=1).ravel()
    radii = shapes.radii[:, :-1].ravel()
    first_knot = limb * (KNOTS - 1)

    def radius_at(t: np.ndarray) -> np.ndarray:
        t = t * np.float32(KNOTS - 1)
        knot = np.minimum(np.floor(t), np.float32(KNOTS - 2))
        index = first_knot + knot.astype(np.intp)
        return radii[index] + (t - knot) * rise[index]

    # Find where on the axis the visible point belongs, from its offset along u. The
    # radius for this is that at the nearest point of the axis.
    dx, dy = x - shapes.x0[limb], y - shapes.y0[limb]
    ux, uy, length = shapes.ux[limb], shapes.uy[limb], shapes.length[limb]
    across = (dy * ux - dx * uy) / shapes.half[limb]
    along = dx * ux + dy * uy
    radius = radius_at(np.clip(along / length, 0, 1))
    c = np.clip(across / radius, -1, 1)
    shift = shapes.far_u[limb] * c + shapes.near_u[limb] * np.sqrt(1 - c * c)
    free = (along - radius * shift) / length
    t = np.clip(free, 0, 1)
    radius = radius_at(t)
    c = across / radius
    # Distance beyond the end, in units of the extent of the rounded end.
    over = (along - t * length) / (radius * shapes.cap_u[limb])
    over[t == free] = 0
    rest = 1 - c * c - over * over

    keep = np.flatnonzero(rest > 0)
    limb, x, y = limb[keep], x[keep], y[keep]
    t, c, over, radius = t[keep], c[keep], over[keep], radius[keep]
    s = np.sqrt(rest[keep])
    on_cap = (t == 0) | (t == 1)
    near_z = np.where(on_cap, -shapes.cap_z[limb], shapes.near_z[limb])
    offset_z = shapes.far_z[limb] * c + near_z * s
    axis_z = shapes.z0[limb] + shapes.dz[limb] * t
    metres = radius * axis_z * np.float32(shapes.metres_per_pixel)
    z = axis_z + metres * offset_z
    pixel = y.astype(np.intp) * size + x.astype(np.intp)
    np.minimum.at(depth, pixel, z)

    seen = np.flatnonzero(z == depth[pixel])
    limb, pixel, t, c, s = limb[seen], pixel[seen], t[seen], c[seen], s[seen]
    body_u = shapes.far_u[limb] * c + shapes.near_u[limb] * s
    cap_u = over[seen] * shapes.cap_u[limb]
    offset_u = np.where(on_cap[seen], cap_u, body_u)
    offset = np.stack([shapes.half[limb] * c, offset_u, offset_z[seen]], axis=1)
    place = np.einsum("nij,nj->ni", shapes.to_limb[limb], offset)
    normal = np.einsum("nij,nj->ni", shapes.to_normal[limb], place)

    color = np.empty((len(seen), 3), np.float32)
    place = place[:, :2] * metres[seen, None]
    bounds = np.searchsorted(limb, np.arange(len(limbs) + 1))
    for each, low, high in zip(limbs, bounds, bounds[1:], strict=False):
        if low < high:
            mine = slice(low, high)
            axis_length = float(np.linalg.norm(each.end - each.start))
            color[mine] = each.material.paint(t[mine], place[mine], axis_length)
    return pixel, normal, color


def _shade(normal: np.ndarray, color: np.ndarray, light: Light) -> np.ndarray:
    """Return shaded colors (N, 3) of surfaces with normals (N, 3) of any length."""
    normal = normal / np.sqrt(np.einsum("nd,nd->n", normal, normal) + 1e-9)[:, None]
    lit = np.clip(normal @ np.asarray(light.direction, np.float32), 0, None)
    facing = np.clip(-normal[:, 2], 0, 1)
    dim = 1 - light.rim * (1 - facing) ** 2
    tint = np.asarray(light.color, np.float32)
    shade = (lit * light.strength)[:, None] * tint + light.ambient
    return color * shade * dim[:, None]


def _darken_creases(
    color: np.ndarray, depth: np.ndarray, drawn: np.ndarray, amount: float
) -> None:
    """Darken surfaces that lie behind others nearby (contact shadows), in place."""
    size = depth.shape[0]
    row, column = drawn // size, drawn % size
    area = slice(row.min(), row.max() + 1), slice(column.min(), column.max() + 1)
    depth = depth[area]
    covered = (depth < np.inf).astype(np.float32)
    filled = np.where(covered > 0, depth, 0)
    window = (size // 20 + 1,) * 2
    weight = cv2.blur(covered, window)
    mean = cv2.blur(filled, window) / np.maximum(weight, 1e-6)
    behind = np.clip((filled - mean) / 0.12, 0, 1)  # full effect 0.12 m behind
    color[area][..., :3] *= (1 - amount * behind)[..., None]
