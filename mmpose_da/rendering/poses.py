"""Poses: joint angles, sampled by family and within anatomical limits."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from scipy.spatial.transform import Rotation

from .skeleton import AXIAL, SIDES, Pose, without_side

Ranges = Mapping[str, tuple[float, float]]

#: Minimum and maximum of each angle in degrees, as defined in
#: :data:`~.skeleton.ROTATIONS`: the normal ranges of the American Academy of
#: Orthopaedic Surgeons, "Joint Motion", 1965. Arms and legs cross the body by at most
#: 30 degrees, which keeps them out of the trunk.
LIMITS: dict[str, tuple[float, float]] = dict(
    spine_flexion=(-30, 80),
    spine_bend=(-35, 35),
    spine_turn=(-45, 45),
    neck_flexion=(-45, 45),
    neck_bend=(-45, 45),
    neck_turn=(-60, 60),
    shoulder_flexion=(-60, 180),
    shoulder_abduction=(-30, 90),
    shoulder_rotation=(-70, 90),
    elbow_flexion=(0, 150),
    wrist_flexion=(-70, 80),
    wrist_deviation=(-20, 30),
    hip_flexion=(-30, 120),
    hip_abduction=(-30, 45),
    hip_rotation=(-45, 45),
    knee_flexion=(0, 135),
    ankle_flexion=(-50, 20),
)
#: Larger ranges of trained people in acrobatic poses: splits and arched backs.
ACROBATIC_LIMITS: dict[str, tuple[float, float]] = dict(
    LIMITS,
    spine_flexion=(-50, 80),
    hip_flexion=(-60, 135),
    hip_abduction=(-30, 85),
    ankle_flexion=(-60, 20),
)


def limits_of(name: str, acrobatic: bool = False) -> tuple[float, float]:
    """Return the limits (degrees) of an angle named as in :attr:`Pose.angles`."""
    limits = ACROBATIC_LIMITS if acrobatic else LIMITS
    return limits[without_side(name)]


def sample_pose(rng: np.random.Generator, families: Mapping[str, float]) -> Pose:
    """Sample a pose.

    Args:
        rng (np.random.Generator): Random generator.
        families (Mapping[str, float]): Weight of each of ``standing``, ``walking``,
            ``reaching``, ``sitting``, and ``acrobatic``, not necessarily normalized. A
            family that is not named has weight 0.

    Raises:
        ValueError: If a family is unknown, a weight is negative, or all weights are 0.
    """
    unknown = sorted(set(families) - set(FAMILIES))
    if unknown:
        raise ValueError(
            f"unknown families {unknown}; available are {sorted(FAMILIES)}"
        )
    weights = np.array([families[name] for name in families], dtype=float)
    if not weights.sum() > 0 or weights.min() < 0:
        raise ValueError(f"families need weights >= 0 that are not all 0: {families}")
    name = list(families)[rng.choice(len(weights), p=weights / weights.sum())]
    pose = FAMILIES[name](rng)
    within = {
        angle: float(np.clip(value, *limits_of(angle, name == "acrobatic")))
        for angle, value in pose.angles.items()
    }
    pose = Pose(within, pose.orientation, pose.lift)
    return pose.mirrored() if rng.random() < 0.5 else pose


# The functions below always choose the same side where the sides differ. `sample_pose`
# mirrors half of the poses.

#: Small movements in every pose.
TRUNK: Ranges = dict(
    spine_flexion=(-8, 15),
    spine_bend=(-8, 8),
    spine_turn=(-12, 12),
    neck_flexion=(-15, 20),
    neck_bend=(-12, 12),
    neck_turn=(-30, 30),
)
LEGS: Ranges = dict(
    hip_flexion=(-5, 10),
    hip_abduction=(0, 12),
    hip_rotation=(-5, 25),
    knee_flexion=(0, 12),
    ankle_flexion=(-3, 5),
)
WRIST: Ranges = dict(wrist_flexion=(-20, 30), wrist_deviation=(-10, 15))
HANGING: Ranges = dict(
    WRIST,
    shoulder_flexion=(-15, 20),
    shoulder_abduction=(4, 20),
    shoulder_rotation=(-35, 30),
    elbow_flexion=(3, 35),
)
#: Arms that do not hang.
AKIMBO: Ranges = dict(
    WRIST,
    shoulder_flexion=(-30, -5),
    shoulder_abduction=(32, 50),
    shoulder_rotation=(-70, -50),
    elbow_flexion=(75, 105),
)
FOLDED: Ranges = dict(
    WRIST,
    shoulder_flexion=(20, 45),
    shoulder_abduction=(0, 15),
    shoulder_rotation=(-65, -40),
    elbow_flexion=(85, 115),
)
TO_THE_HEAD: Ranges = dict(
    WRIST,
    shoulder_flexion=(20, 90),
    shoulder_abduction=(0, 50),
    shoulder_rotation=(-10, 40),
    elbow_flexion=(110, 150),
)
HOLDING: Ranges = dict(
    WRIST,
    shoulder_flexion=(0, 45),
    shoulder_abduction=(0, 25),
    shoulder_rotation=(-40, 20),
    elbow_flexion=(50, 110),
)
IN_THE_LAP: Ranges = dict(
    WRIST,
    shoulder_flexion=(10, 45),
    shoulder_abduction=(0, 25),
    shoulder_rotation=(-50, 10),
    elbow_flexion=(30, 85),
)
UP: Ranges = dict(
    WRIST,
    shoulder_flexion=(120, 180),
    shoulder_abduction=(-5, 50),
    shoulder_rotation=(-40, 40),
    elbow_flexion=(0, 60),
)
FORWARD: Ranges = dict(UP, shoulder_flexion=(50, 110), shoulder_abduction=(-15, 35))
SIDEWAYS: Ranges = dict(UP, shoulder_flexion=(-20, 120), shoulder_abduction=(50, 90))
STRAIGHT_UP: Ranges = dict(
    UP,
    shoulder_flexion=(160, 180),
    shoulder_abduction=(0, 25),
    elbow_flexion=(0, 15),
)
ANY_ARM: Ranges = dict(
    shoulder_flexion=(-50, 180),
    shoulder_abduction=(-10, 90),
    shoulder_rotation=(-60, 80),
    elbow_flexion=(0, 140),
    wrist_flexion=(-50, 60),
    wrist_deviation=(-20, 30),
)
STRAIGHT_LEG: Ranges = dict(LEGS, knee_flexion=(0, 20), ankle_flexion=(-50, 0))


def _standing(rng: np.random.Generator) -> Pose:
    angles = _draw(rng, TRUNK, LEGS)
    if rng.random() < 0.35:  # weight on one leg
        angles.update(_draw_side(rng, "left", dict(hip_flexion=(5, 20))))
        angles.update(_draw_side(rng, "left", dict(knee_flexion=(10, 35))))
        angles["left_hip_abduction"] += rng.uniform(0, 10)
    both = rng.choice(4, p=(0.55, 0.2, 0.1, 0.15))
    arms = [(HANGING, AKIMBO, FOLDED, HOLDING)[both]] * 2
    if both == 0 and rng.random() < 0.35:
        arms[0] = (AKIMBO, TO_THE_HEAD, HOLDING)[rng.choice(3)]
    return Pose(angles | _draw_arms(rng, arms), _tilt(rng, (-4, 6), (-3, 3)))


def _walking(rng: np.random.Generator) -> Pose:
    """Sample a moment of a gait, from strolling to running."""
    phase, pace = rng.uniform(0, 2 * np.pi), rng.uniform(0.3, 1.0)
    angles = _draw(rng, TRUNK, LEGS, HANGING)
    for side, shift in zip(SIDES, (0, np.pi), strict=True):
        swing = np.sin(phase + shift)
        # The knee bends while the leg swings forward, a quarter of a cycle before it
        # arrives.
        bent = max(0.0, np.cos(phase + shift)) ** 2
        angles[f"{side}_hip_flexion"] = 8 + 12 * pace + 32 * pace * swing
        angles[f"{side}_knee_flexion"] = 8 + rng.uniform(40, 90) * pace * bent
        angles[f"{side}_ankle_flexion"] = 5 - 25 * pace * max(0.0, -swing)
        angles[f"{side}_hip_rotation"] = rng.uniform(-5, 12)
        angles[f"{side}_shoulder_flexion"] = -45 * pace * swing + rng.uniform(-8, 12)
        angles[f"{side}_elbow_flexion"] = rng.uniform(10, 30) + 75 * pace**3
    # The shoulders turn against the hips, toward the side of the rear leg.
    angles["spine_turn"] = 12 * pace * np.sin(phase) + rng.uniform(-5, 5)
    if rng.random() < 0.2:  # carrying something in one hand
        angles.update(_draw_side(rng, "left", HOLDING))
    return Pose(angles, _tilt(rng, (0, 4 + 10 * pace), (-3, 3)))


def _reaching(rng: np.random.Generator) -> Pose:
    trunk = dict(
        TRUNK, spine_flexion=(-20, 40), spine_bend=(-25, 25), spine_turn=(-30, 30)
    )
    legs = dict(LEGS, hip_flexion=(-10, 30), hip_abduction=(0, 22))
    angles = _draw(rng, trunk, legs)
    for side in SIDES:
        angles[f"{side}_knee_flexion"] += rng.uniform(0, 1.5) * max(
            0.0, angles[f"{side}_hip_flexion"]
        )
    reach = (UP, FORWARD, SIDEWAYS)
    arms = [reach[rng.choice(3)], (HANGING, AKIMBO, HOLDING)[rng.choice(3)]]
    if rng.random() < 0.5:
        arms[1] = arms[0] if rng.random() < 0.7 else reach[rng.choice(3)]
    angles.update(_draw_arms(rng, arms))
    return _leaning(rng, angles, rng.uniform(-10, 25), (-8, 8))


def _sitting(rng: np.random.Generator) -> Pose:
    on_the_floor = rng.random() < 0.3
    legs = dict(
        hip_flexion=(70, 110) if on_the_floor else (70, 95),
        hip_abduction=(-5, 25),
        hip_rotation=(-15, 35),
        knee_flexion=(0, 130) if on_the_floor else (55, 115),
        ankle_flexion=(-25, 15),
    )
    trunk = dict(TRUNK, spine_flexion=(-5, 45), spine_bend=(-15, 15))
    angles = _draw(rng, trunk, legs)
    if rng.random() < 0.25:  # legs crossed
        angles.update(left_hip_abduction=rng.uniform(-22, -10))
        angles["left_hip_flexion"] += rng.uniform(8, 20)
    choices = (IN_THE_LAP, HOLDING, TO_THE_HEAD, FORWARD, HANGING, UP)
    odds = (0.35, 0.25, 0.12, 0.12, 0.1, 0.06)
    arms = [choices[rng.choice(6, p=odds)] for _ in SIDES]
    if rng.random() < 0.5:
        arms[1] = arms[0]
    return Pose(angles | _draw_arms(rng, arms), _tilt(rng, (-25, 12), (-8, 8)))


def _acrobatic(rng: np.random.Generator) -> Pose:
    figures = (
        *(_handstand, _cartwheel, _jump, _lunge, _split, _bend, _squat, _kick),
        *(_on_all_fours, _tumble),
    )
    return figures[rng.choice(len(figures))](rng)


def _handstand(rng: np.random.Generator) -> Pose:
    legs = dict(
        hip_flexion=(-45, 70),
        hip_abduction=(0, 50),
        hip_rotation=(-20, 40),
        knee_flexion=(0, 90),
        ankle_flexion=(-55, 0),
    )
    trunk = dict(TRUNK, spine_flexion=(-40, 10), neck_flexion=(-45, 10))
    arms = _draw_arms(rng, [STRAIGHT_UP] * 2)
    return Pose(
        _draw(rng, trunk, legs) | arms, _tilt(rng, (155, 205), (-25, 25), (-180, 180))
    )


def _cartwheel(rng: np.random.Generator) -> Pose:
    legs = dict(STRAIGHT_LEG, hip_flexion=(-20, 25), hip_abduction=(25, 75))
    arms = _draw_arms(rng, [dict(STRAIGHT_UP, shoulder_abduction=(10, 50))] * 2)
    return Pose(
        _draw(rng, TRUNK, legs) | arms, _tilt(rng, (-20, 20), (50, 310), (-60, 60))
    )


def _jump(rng: np.random.Generator) -> Pose:
    star = dict(STRAIGHT_LEG, hip_flexion=(-25, 30), hip_abduction=(20, 70))
    tuck = dict(STRAIGHT_LEG, hip_flexion=(50, 130), knee_flexion=(60, 135))
    arched = dict(STRAIGHT_LEG, hip_flexion=(-45, 0), knee_flexion=(20, 120))
    stride = dict(STRAIGHT_LEG, hip_flexion=(40, 115), knee_flexion=(0, 100))
    kind = rng.choice(4)
    angles = _draw(rng, dict(TRUNK, spine_flexion=(-30, 35)))
    for side, leg in zip(
        SIDES,
        ((star, star), (tuck, tuck), (arched, arched), (stride, arched))[kind],
        strict=True,
    ):
        angles.update(_draw_side(rng, side, leg))
    arms = _draw_arms(rng, [ANY_ARM] * 2)
    tilt = _tilt(rng, (-25, 35), (-20, 20))
    return Pose(angles | arms, tilt, lift=rng.uniform(0.05, 0.6))


def _lunge(rng: np.random.Generator) -> Pose:
    front = dict(LEGS, hip_flexion=(55, 90), knee_flexion=(60, 110))
    front.update(hip_abduction=(0, 35))
    back = dict(LEGS, hip_flexion=(-50, -15), knee_flexion=(0, 60))
    angles = _draw(rng, dict(TRUNK, spine_bend=(-25, 25), spine_turn=(-35, 35)))
    angles.update(_draw_side(rng, "left", front))
    angles.update(_draw_side(rng, "right", back))
    arms = (HANGING, AKIMBO, UP, FORWARD, SIDEWAYS, ANY_ARM)
    angles.update(_draw_arms(rng, [arms[i] for i in rng.choice(len(arms), size=2)]))
    return _leaning(rng, angles, rng.uniform(-5, 40), (-8, 8))


def _split(rng: np.random.Generator) -> Pose:
    angles = _draw(rng, dict(TRUNK, spine_bend=(-35, 35), spine_turn=(-30, 30)))
    if rng.random() < 0.5:  # to the sides
        legs = dict(STRAIGHT_LEG, hip_flexion=(-10, 20), hip_abduction=(60, 85))
        angles.update(_draw(rng, legs))
    else:  # one leg in front
        front = dict(STRAIGHT_LEG, hip_flexion=(65, 90))
        back = dict(STRAIGHT_LEG, hip_flexion=(-75, -45))
        angles.update(_draw_side(rng, "left", front))
        angles.update(_draw_side(rng, "right", back))
    angles.update(_draw_arms(rng, [ANY_ARM] * 2))
    return _leaning(rng, angles, rng.uniform(-10, 45), (-10, 10))


def _bend(rng: np.random.Generator) -> Pose:
    """Sample a deep bend to the front or to one side."""
    if rng.random() < 0.7:
        lean = rng.uniform(15, 95)
        trunk = dict(TRUNK, spine_flexion=(20, 80), spine_turn=(-40, 40))
    else:
        lean = rng.uniform(-5, 25)
        trunk = dict(TRUNK, spine_bend=(22, 35), spine_turn=(-25, 25))
    angles = _draw(rng, trunk, dict(LEGS, hip_abduction=(0, 35), knee_flexion=(0, 40)))
    for side in SIDES:
        angles[f"{side}_hip_flexion"] += angles[f"{side}_knee_flexion"] / 2
    angles.update(_draw_arms(rng, [(ANY_ARM, FORWARD, UP)[rng.choice(3)]] * 2))
    return _leaning(rng, angles, lean, (-8, 15))


def _squat(rng: np.random.Generator) -> Pose:
    knees = rng.uniform(70, 135)
    legs = dict(
        hip_flexion=(0.55 * knees - 10, 0.55 * knees + 10),
        hip_abduction=(5, 45),
        hip_rotation=(0, 40),
        knee_flexion=(knees - 10, knees),
        ankle_flexion=(0, 20),
    )
    trunk = dict(TRUNK, spine_flexion=(0, 50), spine_turn=(-30, 30))
    arms = (HOLDING, FORWARD, IN_THE_LAP, UP, ANY_ARM)
    angles = _draw(rng, trunk, legs)
    angles.update(_draw_arms(rng, [arms[i] for i in rng.choice(len(arms), size=2)]))
    return _leaning(rng, angles, rng.uniform(5, 45), (-8, 8))


def _kick(rng: np.random.Generator) -> Pose:
    kick = dict(
        hip_flexion=(-55, 120),
        hip_abduction=(0, 80),
        hip_rotation=(-30, 45),
        knee_flexion=(0, 80),
        ankle_flexion=(-50, 15),
    )
    angles = _draw(rng, dict(TRUNK, spine_bend=(-25, 25), spine_turn=(-35, 35)), LEGS)
    angles.update(_draw_side(rng, "left", kick) | _draw_arms(rng, [ANY_ARM] * 2))
    # The trunk leans away from the kicking leg, over the other one, which stays in
    # place.
    lean = -0.3 * angles["left_hip_flexion"]
    aside = -0.35 * angles["left_hip_abduction"]
    angles["right_hip_abduction"] -= aside
    return _leaning(rng, angles, lean, (aside, aside))


def _on_all_fours(rng: np.random.Generator) -> Pose:
    """Sample a pose on hands and feet or knees, face down or (a bridge) up."""
    if rng.random() < 0.25:
        legs = dict(LEGS, hip_flexion=(-45, 0), knee_flexion=(60, 110))
        trunk = dict(TRUNK, spine_flexion=(-50, -25), neck_flexion=(-45, -10))
        arms = _draw_arms(rng, [STRAIGHT_UP] * 2)
        tilt = _tilt(rng, (-120, -80), (-8, 8))
        return Pose(_draw(rng, trunk, legs) | arms, tilt)
    legs = dict(
        LEGS, hip_flexion=(-5, 110), hip_abduction=(0, 35), knee_flexion=(0, 110)
    )
    trunk = dict(TRUNK, spine_flexion=(-20, 35), neck_flexion=(-45, 20))
    raised = dict(
        UP,
        shoulder_flexion=(60, 120),
        shoulder_abduction=(0, 30),
        elbow_flexion=(0, 80),
    )
    tilt = _tilt(rng, (65, 110), (-12, 12))
    return Pose(_draw(rng, trunk, legs) | _draw_arms(rng, [raised] * 2), tilt)


def _tumble(rng: np.random.Generator) -> Pose:
    """Sample any pose at any orientation, as in a fall or a dance on the floor."""
    inner = {
        name: (low + 0.1 * (high - low), high - 0.15 * (high - low))
        for name, (low, high) in LIMITS.items()
    }
    # A normally distributed vector, here a quaternion, has a uniform direction.
    anyhow = Rotation.from_quat(rng.standard_normal(4)).as_matrix()
    return Pose(_draw(rng, inner), anyhow)


FAMILIES: dict[str, Callable[[np.random.Generator], Pose]] = dict(
    standing=_standing,
    walking=_walking,
    reaching=_reaching,
    sitting=_sitting,
    acrobatic=_acrobatic,
)


def _draw(rng: np.random.Generator, *ranges: Ranges) -> dict[str, float]:
    """Draw angles uniformly; those of limbs independently for each side."""
    angles = {}
    for part in ranges:
        axial = {name: span for name, span in part.items() if name.startswith(AXIAL)}
        limbs = {name: span for name, span in part.items() if name not in axial}
        angles.update(_uniform(rng, axial))
        for side in SIDES:
            angles.update(_draw_side(rng, side, limbs))
    return angles


def _draw_side(rng: np.random.Generator, side: str, ranges: Ranges) -> dict[str, float]:
    """Draw the limb angles of one side."""
    return _uniform(rng, {f"{side}_{name}": span for name, span in ranges.items()})


def _draw_arms(rng: np.random.Generator, arms: list[Ranges]) -> dict[str, float]:
    """Draw the angles of the left and the right arm."""
    left, right = (_draw_side(rng, *pair) for pair in zip(SIDES, arms, strict=True))
    return left | right


def _uniform(rng: np.random.Generator, ranges: Ranges) -> dict[str, float]:
    low, high = np.array(list(ranges.values())).reshape(-1, 2).T
    return dict(zip(ranges, rng.uniform(low, high).tolist(), strict=True))


def _leaning(
    rng: np.random.Generator,
    angles: Mapping[str, float],
    lean: float,
    left: tuple[float, float],
) -> Pose:
    """Tilt the pelvis forward by ``lean`` degrees, without moving the legs."""
    hips = {f"{side}_hip_flexion" for side in SIDES}
    angles = {name: value + lean * (name in hips) for name, value in angles.items()}
    return Pose(angles, _tilt(rng, (lean, lean), left))


def _tilt(
    rng: np.random.Generator,
    forward: tuple[float, float],
    left: tuple[float, float],
    turn: tuple[float, float] = (0.0, 0.0),
) -> np.ndarray:
    """Sample a whole-body rotation (3, 3): to the front, to the left, and about y."""
    angles = [rng.uniform(*limits) for limits in (turn, forward, left)]
    return Rotation.from_euler("YXZ", np.multiply(angles, (1, 1, -1)), True).as_matrix()
