"""Appearance of people: builds limbs with skin, hair, clothes, and shoes from joints.

Lengths are in meters for a person of ``REFERENCE_HEIGHT`` and scale with the person.
Lengths of the head are in head lengths (from the upper neck to the top of the head).
"""

from __future__ import annotations

import colorsys
from dataclasses import dataclass

import numpy as np

from .renderer import Limb, Material
from .skeleton import JOINT_IDS, JOINT_NAMES, SIDES, Body

REFERENCE_HEIGHT = 1.75
Range = tuple[float, float]
Color = tuple[float, float, float]

# From light to dark; BGR.
SKIN_TONES = np.array(
    [(0.74, 0.82, 0.96), (0.58, 0.70, 0.90), (0.38, 0.52, 0.76), (0.18, 0.27, 0.42)]
)
HAIR_TONES = np.array(
    [(0.05, 0.05, 0.06), (0.08, 0.13, 0.22), (0.16, 0.28, 0.42), (0.40, 0.62, 0.80)]
)
TOP_PATTERNS = ("hoops", "stripes", "checks", "gradient", "logo")
LEG_PATTERNS = ("stripes", "checks", "gradient")

#: Radius of the body around each joint; what hides a joint is in front of it.
JOINT_RADII: dict[str, float] = dict(
    shoulder=0.065,
    elbow=0.042,
    wrist=0.032,
    hip=0.115,
    knee=0.060,
    ankle=0.045,
    pelvis=0.120,
    thorax=0.100,
    upper_neck=0.090,
    head_top=0.050,
    hand=0.030,
    toe=0.040,
    eye=0.015,
    ear=0.025,
    nose=0.015,
)


@dataclass(frozen=True)
class Wardrobe:
    """What the people of a domain wear, as ranges and probabilities.

    Args:
        saturation, brightness (tuple): Of the colors of the clothes, within 0 to 1.
        top_pattern, leg_pattern (float): Probability of a pattern.
        sleeves (tuple): Length of the sleeves: 0 is none, 1 reaches the elbow, 2 the
            wrist.
        legs (tuple): Length of the trousers: 0 is none, 1 reaches the knee, 2 the
            ankle.
        looseness (tuple): Factor on the radii of limbs under clothes.
        skirt, long_hair, bald, hat, backpack (float): Probabilities.
        dark_hair (float): 1 makes all hair black, 0 makes all tones equally likely.
    """

    saturation: Range = (0.3, 0.6)
    brightness: Range = (0.35, 0.8)
    top_pattern: float = 0.0
    leg_pattern: float = 0.0
    sleeves: Range = (1.9, 2.0)
    legs: Range = (1.9, 2.0)
    looseness: Range = (1.0, 1.1)
    skirt: float = 0.0
    long_hair: float = 0.3
    bald: float = 0.05
    hat: float = 0.0
    backpack: float = 0.0
    dark_hair: float = 0.3


@dataclass(frozen=True)
class Outfit:
    """Appearance of one person; lengths of sleeves and legs as in :class:`Wardrobe`."""

    skin: Material
    hair: Material
    top: Material
    bottom: Material
    shoes: Material
    extra: Material
    sleeves: float
    legs: float
    looseness: float
    skirt: bool
    long_hair: bool
    bald: bool
    hat: bool
    backpack: bool


def sample_color(
    rng: np.random.Generator, saturation: Range, brightness: Range
) -> Color:
    """Sample a BGR color of any hue."""
    rgb = colorsys.hsv_to_rgb(
        rng.random(), rng.uniform(*saturation), rng.uniform(*brightness)
    )
    return rgb[::-1]


def sample_outfit(rng: np.random.Generator, wardrobe: Wardrobe) -> Outfit:
    """Sample the appearance of a person.

    Everything is sampled, whether it is used or not, so that changing one parameter
    leaves the rest unchanged.
    """

    def cloth(pattern: float, patterns: tuple[str, ...], period: Range) -> Material:
        base, accent = (
            sample_color(rng, wardrobe.saturation, wardrobe.brightness)
            for _ in range(2)
        )
        kind = patterns[rng.integers(len(patterns))]
        kind = kind if rng.random() < pattern else "plain"
        return Material(base, kind, accent, rng.uniform(*period))

    top = cloth(wardrobe.top_pattern, TOP_PATTERNS, (0.04, 0.1))
    bottom = cloth(wardrobe.leg_pattern, LEG_PATTERNS, (0.03, 0.08))
    shoes = Material(sample_color(rng, (0.0, 0.5), (0.08, 0.9)))
    extra = Material(sample_color(rng, (0.1, 0.9), (0.1, 0.8)))
    skin = Material(_between(SKIN_TONES, rng.random()))
    tone = rng.random() * (1 - wardrobe.dark_hair)
    hair = Material(_between(HAIR_TONES, tone))
    sleeves, legs = (rng.uniform(*r) for r in (wardrobe.sleeves, wardrobe.legs))
    chances = (
        *(wardrobe.skirt, wardrobe.long_hair),
        *(wardrobe.bald, wardrobe.hat, wardrobe.backpack),
    )
    looseness = rng.uniform(*wardrobe.looseness)
    skirt, long_hair, bald, hat, backpack = rng.random(len(chances)) < chances
    return Outfit(
        *(skin, hair, top, bottom, shoes, extra),
        *(sleeves, legs, looseness),
        *(skirt, long_hair and not bald, bald, hat, backpack),
    )


def joint_radii(body: Body) -> np.ndarray:
    """Return the radius of the body around each joint, (J,), in meters."""
    radii = [JOINT_RADII.get(n, JOINT_RADII.get(n.split("_")[-1])) for n in JOINT_NAMES]
    return np.array(radii) * body.height / REFERENCE_HEIGHT


def dress(body: Body, joints: np.ndarray, outfit: Outfit) -> list[Limb]:
    """Build the limbs to draw for a person.

    Args:
        body (Body): The proportions.
        joints (np.ndarray): Joint positions (J, 3) in any right-handed frame. The limbs
            are in the same frame.
        outfit (Outfit): The appearance.

    Returns:
        list[Limb]: Torso, arms, legs, head, and what the person wears.
    """
    point = {name: joints[i] for name, i in JOINT_IDS.items()}
    scale = body.height / REFERENCE_HEIGHT
    limbs = _torso(point, outfit, scale, body.girth)
    for side in SIDES:
        limbs += _arm(point, side, outfit, scale, body.girth)
        limbs += _leg(point, side, outfit, scale, body.girth)
    return limbs + _head(point, outfit)


def _between(tones: np.ndarray, share: float) -> Color:
    """Interpolate a list of tones at a position from 0 to 1."""
    at = np.linspace(0, 1, len(tones))
    blue, green, red = (float(np.interp(share, at, channel)) for channel in tones.T)
    return blue, green, red


def _unit(vector: np.ndarray) -> np.ndarray:
    return vector / max(np.sqrt(vector @ vector), 1e-9)


def _torso(
    point: dict[str, np.ndarray], outfit: Outfit, scale: float, girth: float
) -> list[Limb]:
    pelvis, thorax = point["pelvis"], point["thorax"]
    hips = point["left_hip"] - point["right_hip"]
    shoulders = point["left_shoulder"] - point["right_shoulder"]
    spine = thorax - pelvis
    across = _unit(_unit(hips) + _unit(shoulders))
    size = scale * girth
    loose = size * outfit.looseness

    limbs = [
        Limb(
            pelvis + 0.12 * spine,
            pelvis + 0.95 * spine,
            np.array([0.142, 0.134, 0.146, 0.158, 0.15, 0.122]) * loose,
            outfit.top,
            flatness=0.68,
            side=across,
            cap=0.45,
        ),
        Limb(
            pelvis - 0.04 * spine,
            pelvis + 0.17 * spine,
            np.array([0.13, 0.15, 0.146]) * loose,
            outfit.bottom,
            flatness=0.64,
            side=hips,
            cap=0.6,
        ),
        Limb(
            thorax + 0.02 * spine,
            point["upper_neck"],
            np.array([0.075, 0.056, 0.052]) * size,
            outfit.skin,
        ),
    ]
    for side in SIDES:
        shoulder = point[f"{side}_shoulder"]
        limbs.append(
            Limb(
                thorax - 0.09 * spine,
                shoulder,
                np.array([0.1, 0.056]) * loose,
                Material(outfit.top.color),
            )
        )
    if outfit.skirt:
        thighs = (point["left_knee"] + point["right_knee"]) / 2 - pelvis
        # Over lifted thighs, the skirt lies flat instead of standing out.
        hanging = max(float(_unit(thighs) @ -_unit(spine)), 0.0)
        limbs.append(
            Limb(
                pelvis + 0.05 * spine,
                pelvis + (0.4 + 0.35 * hanging) * thighs,
                np.array([0.14, 0.155 + 0.03 * hanging, 0.15 + 0.065 * hanging])
                * loose,
                outfit.bottom,
                flatness=0.75,
                side=hips,
                cap=0.1,
            )
        )
    if outfit.backpack:
        back = -np.cross(hips, spine)  # points behind the person
        offset = _unit(back) * 0.15 * size
        limbs.append(
            Limb(
                pelvis + 0.3 * spine + offset,
                pelvis + 0.85 * spine + offset,
                np.array([0.145, 0.13]) * scale,
                outfit.extra,
                flatness=0.65,
                side=across,
                cap=0.5,
            )
        )
    return limbs


def _arm(
    point: dict[str, np.ndarray], side: str, outfit: Outfit, scale: float, girth: float
) -> list[Limb]:
    shoulder, elbow, wrist, hand = (
        point[f"{side}_{name}"] for name in ("shoulder", "elbow", "wrist", "hand")
    )
    size = scale * girth
    upper, lower = _covers(outfit.sleeves, outfit.looseness)
    fingers = wrist + 0.85 * (hand - wrist)
    return [
        Limb(
            shoulder,
            elbow,
            np.array([0.057, 0.053, 0.043]) * size * upper,
            outfit.top.until(outfit.sleeves, outfit.skin),
        ),
        Limb(
            elbow,
            wrist,
            np.array([0.043, 0.043, 0.031]) * size * lower,
            outfit.top.until(outfit.sleeves - 1, outfit.skin),
        ),
        Limb(
            wrist,
            fingers,
            np.array([0.029, 0.042, 0.039, 0.026]) * scale,
            outfit.skin,
            flatness=0.7,
        ),
    ]


def _leg(
    point: dict[str, np.ndarray], side: str, outfit: Outfit, scale: float, girth: float
) -> list[Limb]:
    hip, knee, ankle, toe = (
        point[f"{side}_{name}"] for name in ("hip", "knee", "ankle", "toe")
    )
    size = scale * girth
    legs = 0.7 if outfit.skirt else outfit.legs
    upper, lower = _covers(legs, outfit.looseness)
    forward = _unit(toe - ankle)
    down = ankle - knee
    down = _unit(down - (down @ forward) * forward)
    heel = ankle + (0.036 * down - 0.03 * forward) * scale
    tip = toe + 0.035 * forward * scale
    return [
        Limb(
            hip,
            knee,
            np.array([0.09, 0.079, 0.058]) * size * upper,
            outfit.bottom.until(legs, outfit.skin),
        ),
        Limb(
            knee,
            ankle,
            np.array([0.057, 0.059, 0.05, 0.039]) * size * lower,
            outfit.bottom.until(legs - 1, outfit.skin),
        ),
        Limb(ankle, heel, np.array([0.042, 0.035]) * scale, outfit.shoes),
        Limb(
            heel,
            tip,
            np.array([0.036, 0.042, 0.045, 0.034]) * scale,
            outfit.shoes,
            flatness=0.8,
            side=np.cross(forward, down),
        ),
    ]


def _covers(reach: float, looseness: float) -> tuple[float, float]:
    """Return radius factors of a limb's two parts, given the reach of the clothes."""
    upper, lower = (looseness if reach >= part else 1.0 for part in (0.8, 1.6))
    return upper, lower


def _head(point: dict[str, np.ndarray], outfit: Outfit) -> list[Limb]:
    neck = point["upper_neck"]
    up = point["head_top"] - neck
    unit = np.sqrt(up @ up)
    up = up / unit
    side = point["left_ear"] - point["right_ear"]
    side = _unit(side - (side @ up) * up)
    front = np.cross(side, up)

    def at(x: float, y: float, z: float) -> np.ndarray:
        return neck + unit * (x * side + y * up + z * front)

    def part(
        start: np.ndarray,
        end: np.ndarray,
        radii: list[float],
        material: Material,
        flatness: float = 1.0,
        cap: float = 1.0,
    ) -> Limb:
        return Limb(start, end, np.array(radii) * unit, material, flatness, side, cap)

    dark = Material((0.08, 0.08, 0.1))
    lips = Material(tuple(np.multiply(outfit.skin.color, (0.55, 0.5, 0.8))))
    hair = outfit.skin if outfit.bald else outfit.hair
    face = Material(outfit.skin.color, "hair", hair.color, period=-0.25)
    mouth_left, mouth_right = at(0.08, 0.15, 0.34), at(-0.08, 0.15, 0.34)
    limbs = [
        part(at(0, 0.18, 0.02), at(0, 0.68, 0), [0.22, 0.29, 0.32, 0.32], face, 1.18),
        part(at(0, 0.5, 0.36), point["nose"], [0.035, 0.055], outfit.skin),
        part(mouth_left, mouth_right, [0.03], lips),
    ]
    for name in SIDES:
        eye, ear = point[f"{name}_eye"], point[f"{name}_ear"]
        limbs.append(part(eye, eye, [0.045], dark))
        limbs.append(part(ear, ear, [0.07], outfit.skin))
    if not outfit.bald:
        limbs.append(
            part(at(0, 0.48, -0.09), at(0, 0.7, -0.06), [0.33, 0.34], hair, 1.1)
        )
    if outfit.long_hair:
        limbs.append(
            part(at(0, 0.55, -0.16), at(0, -0.3, -0.22), [0.33, 0.3, 0.22], hair, 0.6)
        )
    if outfit.hat:
        limbs += [
            part(
                at(0, 0.74, -0.01), at(0, 0.8, -0.02), [0.36], outfit.extra, 1.15, 0.9
            ),
            part(
                at(0, 0.76, 0.2),
                at(0, 0.7, 0.6),
                [0.3, 0.24],
                outfit.extra,
                flatness=0.15,
                cap=0.4,
            ),
        ]
    return limbs
