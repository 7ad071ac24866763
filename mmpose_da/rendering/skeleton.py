"""Body proportions, poses, and the joint positions of a body in a pose.

World coordinates are in meters, with x to the right, y up, and z toward a viewer whom
the person faces, so that the person's left is at +x.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from scipy.spatial.transform import Rotation

SIDES = ("left", "right")

#: COCO's 17 joints in their order, then the joints that only MPII has, then the ends of
#: hands and feet, which are drawn but not labeled.
JOINT_NAMES: tuple[str, ...] = (
    "nose",
    *(
        f"{side}_{part}"
        for part in (
            *("eye", "ear", "shoulder", "elbow", "wrist"),
            *("hip", "knee", "ankle"),
        )
        for side in SIDES
    ),
    *("pelvis", "thorax", "upper_neck", "head_top"),
    *(f"{side}_{part}" for part in ("hand", "toe") for side in SIDES),
)
JOINT_IDS: dict[str, int] = {name: i for i, name in enumerate(JOINT_NAMES)}

#: Lengths as fractions of stature: Drillis and Contini, "Body Segment Parameters",
#: 1966, as in Winter, "Biomechanics and Motor Control of Human Movement", Fig. 4.1.
#: Their widths are measured over the skin; the half-widths here are to the joint
#: centers. The foot extends from the ankle to the ball of the big toe.
LENGTHS: dict[str, float] = dict(
    ankle_height=0.039,
    shin=0.246,
    thigh=0.245,
    spine=0.288,
    neck=0.052,
    head=0.130,
    half_hips=0.055,
    half_shoulders=0.105,
    upper_arm=0.186,
    forearm=0.146,
    hand=0.108,
    foot=0.108,
)
#: Lengths that add up to the stature of a person who stands upright.
UPRIGHT = ("ankle_height", "shin", "thigh", "spine", "neck", "head")

STATURE = (1.5, 1.95)  # meters
LENGTH_SPREAD = 0.04  # relative standard deviation of each length, clipped at 2 sigma
GIRTH = (1.0, 0.13, 0.75, 1.4)  # mean, standard deviation, minimum, maximum

#: The face in the head frame, in head lengths from the upper neck. For points on both
#: sides, this is the left one.
FACE: dict[str, tuple[float, float, float]] = dict(
    nose=(0.0, 0.36, 0.47), eye=(0.14, 0.51, 0.37), ear=(0.33, 0.45, 0.03)
)
#: Direction of a foot that stands on the ground; the ball of the toe is lower than the
#: ankle.
FOOT_DIRECTION = np.array([0.0, -0.25, np.sqrt(1 - 0.25**2)])

#: How far the body extends below a joint, in statures; this rests on the ground.
FLESH: dict[str, float] = dict(
    ankle=LENGTHS["ankle_height"],
    toe=LENGTHS["ankle_height"] - 0.25 * LENGTHS["foot"],
    knee=0.030,
    hip=0.050,
    pelvis=0.060,
    thorax=0.050,
    shoulder=0.030,
    elbow=0.020,
    wrist=0.015,
    hand=0.010,
    upper_neck=0.030,
)

#: Angles that rotate a joint about x, then z, then y of its parent frame, with the
#: signs of the left side. On the right side, z and y have the opposite sign. Flexion of
#: an arm or thigh lifts it to the front, and abduction moves it out of the plane of
#: flexion: 90 is sideways at any flexion, and an arm straight up is flexed by 180.
#: Rotation is outward. Bend and turn are to the left.
ROTATIONS: dict[str, tuple[tuple[int, str | None], ...]] = dict(
    spine=((1, "flexion"), (-1, "bend"), (1, "turn")),
    neck=((1, "flexion"), (-1, "bend"), (1, "turn")),
    shoulder=((-1, "flexion"), (1, "abduction"), (1, "rotation")),
    elbow=((-1, "flexion"), (0, None), (0, None)),
    wrist=((-1, "flexion"), (1, "deviation"), (0, None)),
    hip=((-1, "flexion"), (1, "abduction"), (1, "rotation")),
    knee=((1, "flexion"), (0, None), (0, None)),
    ankle=((-1, "flexion"), (0, None), (0, None)),
)
AXIAL = ("spine", "neck")  # in two parts, each of which takes half of each angle
#: The collarbone rises with the arm, by this many degrees for an arm straight up: Inman
#: et al., "Observations on the Function of the Shoulder Joint", 1944.
COLLARBONE_RISE = 30.0

#: Segments between joints: start, end, length, and direction in the frame of the start
#: when all angles are 0.
DOWN = np.array([0.0, -1.0, 0.0])
ARM = (
    ("shoulder", "elbow", "upper_arm", DOWN),
    ("elbow", "wrist", "forearm", DOWN),
    ("wrist", "hand", "hand", DOWN),
)
LEG = (
    ("hip", "knee", "thigh", DOWN),
    ("knee", "ankle", "shin", DOWN),
    ("ankle", "toe", "foot", FOOT_DIRECTION),
)


def without_side(name: str) -> str:
    """Remove the side from a name: ``knee`` for ``left_knee`` and ``right_knee``."""
    return name.removeprefix("left_").removeprefix("right_")


_TURNED = AXIAL + tuple(
    f"{side}_{joint}" for side in SIDES for joint in ROTATIONS if joint not in AXIAL
)
#: The names and factors of the three angles of each entry of _TURNED.
_ANGLES: list[tuple[str, ...]] = []
_FACTORS = np.zeros((len(_TURNED), 3))
for _row, _name in enumerate(_TURNED):
    _mirror = -1 if _name.startswith("right_") else 1
    _signs, _angles = zip(*ROTATIONS[without_side(_name)], strict=True)
    _ANGLES.append(tuple(f"{_name}_{angle}" for angle in _angles))
    _FACTORS[_row] = np.multiply(_signs, (1, _mirror, _mirror))
    if _name in AXIAL:
        _FACTORS[_row] /= 2

_FACE_NAMES = JOINT_NAMES[:5]
_FACE_POINTS = np.array(
    [
        np.multiply(FACE[without_side(name)], (-1 if "right" in name else 1, 1, 1))
        for name in _FACE_NAMES
    ]
)
_FLESH = np.array([FLESH.get(without_side(name), 0.0) for name in JOINT_NAMES])


@dataclass(frozen=True)
class Pose:
    """One pose.

    Attributes:
        angles (Mapping[str, float]): Degrees by name, such as ``left_knee_flexion`` or
            ``spine_bend``. Angles that are not named are 0. With all angles at 0, the
            person stands at attention.
        orientation (np.ndarray): (3, 3), rotation of the pelvis in the world.
        lift (float): Height of the lowest point above the ground in meters, in a jump.
    """

    angles: Mapping[str, float] = field(default_factory=dict)
    orientation: np.ndarray = field(default_factory=lambda: np.eye(3))
    lift: float = 0.0

    def mirrored(self) -> Pose:
        """Return the mirrored pose, with left and right swapped."""
        mirror = np.diag([-1.0, 1.0, 1.0])
        angles = {
            _mirrored(name): _mirrored_sign(name) * value
            for name, value in self.angles.items()
        }
        return Pose(angles, mirror @ self.orientation @ mirror, self.lift)


@dataclass(frozen=True)
class Body:
    """The proportions of one person.

    Attributes:
        height (float): Stature in meters.
        lengths (Mapping[str, float]): Lengths in meters, with the keys of
            :data:`LENGTHS`.
        girth (float): Factor on the radii of the limbs; 1 is average.
    """

    height: float
    lengths: Mapping[str, float]
    girth: float


def sample_body(rng: np.random.Generator) -> Body:
    """Sample a person: stature, proportions, and girth."""
    height = float(rng.uniform(*STATURE))
    spread = np.clip(rng.standard_normal(len(LENGTHS)), -2, 2) * LENGTH_SPREAD
    lengths = {
        name: height * fraction * float(1 + change)
        for (name, fraction), change in zip(LENGTHS.items(), spread, strict=True)
    }
    # The parts vary, but their sum is the stature.
    excess = sum(lengths[name] for name in UPRIGHT) / height
    lengths.update({name: lengths[name] / excess for name in UPRIGHT})
    mean, deviation, least, most = GIRTH
    girth = float(np.clip(rng.normal(mean, deviation), least, most))
    return Body(height=height, lengths=lengths, girth=girth)


def forward_kinematics(body: Body, pose: Pose) -> np.ndarray:
    """Compute the joint positions of a person in a pose.

    Args:
        body (Body): The proportions.
        pose (Pose): The joint angles and the orientation of the pelvis.

    Returns:
        np.ndarray: (J, 3), meters in the world, in the order of :data:`JOINT_NAMES`.
        The pelvis is at x = z = 0, and the lowest point of the body (of its flesh, not
        of the joints) is ``pose.lift`` above the ground y = 0.
    """
    turns = _local_rotations(pose)
    length = body.lengths
    pelvis = np.zeros(3)
    middle = pose.orientation @ turns["spine"]
    chest = middle @ turns["spine"]
    neck = chest @ turns["neck"]
    head = neck @ turns["neck"]

    # The first column of a frame is its "left", the second one its "up".
    thorax = pelvis + (middle + chest)[:, 1] * (length["spine"] / 2)
    upper_neck = thorax + neck[:, 1] * length["neck"]
    face = upper_neck + length["head"] * _FACE_POINTS @ head.T
    joints = dict(
        zip(_FACE_NAMES, face, strict=True),
        pelvis=pelvis,
        thorax=thorax,
        upper_neck=upper_neck,
        head_top=upper_neck + head[:, 1] * length["head"],
    )
    for side, sign in zip(SIDES, (1, -1), strict=True):
        # How far the arm is raised: 0 if it hangs, 1 if it is straight up.
        raised = (1 - turns[f"{side}_shoulder"][1, 1]) / 2
        rise = np.radians(COLLARBONE_RISE * raised)
        collarbone = np.array([sign * np.cos(rise), np.sin(rise), 0.0])
        joints[f"{side}_shoulder"] = (
            thorax + chest @ collarbone * length["half_shoulders"]
        )
        joints[f"{side}_hip"] = (
            pelvis + sign * pose.orientation[:, 0] * length["half_hips"]
        )
        for limb, frame in ((ARM, chest), (LEG, pose.orientation)):
            for start, end, segment, direction in limb:
                frame = frame @ turns[f"{side}_{start}"]
                joints[f"{side}_{end}"] = (
                    joints[f"{side}_{start}"] + frame @ direction * length[segment]
                )

    points = np.array([joints[name] for name in JOINT_NAMES])
    points[:, 1] += pose.lift - lowest_point(body, points)
    return points


def lowest_point(body: Body, joints: np.ndarray) -> float:
    """Return the height in meters of the lowest flesh around the joints (J, 3)."""
    return float((joints[:, 1] - _FLESH * body.height).min())


def _local_rotations(pose: Pose) -> dict[str, np.ndarray]:
    """Return the rotation matrix (3, 3) of each joint in its parent frame."""
    angles = [[pose.angles.get(name, 0.0) for name in names] for names in _ANGLES]
    matrices = Rotation.from_euler("XZY", _FACTORS * angles, degrees=True).as_matrix()
    return dict(zip(_TURNED, matrices, strict=True))


def _mirrored(name: str) -> str:
    """Return the name of the same angle on the other side."""
    if name.startswith("left_"):
        return name.replace("left_", "right_", 1)
    return name.replace("right_", "left_", 1)


def _mirrored_sign(name: str) -> int:
    """Return -1 for bend and turn angles of the trunk and neck, else 1."""
    return -1 if name.startswith(AXIAL) and not name.endswith("flexion") else 1
