"""Convert SURREAL's videos to JPEG frames and COCO-style JSON, in 2D and in 3D."""

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from _coco import (
    LABELED,
    UNLABELED,
    CocoFile,
    ConversionError,
    existing,
    make_parser,
    read_mat,
    run,
    square_box,
    track,
    write_bytes,
)
from _pose3d import Camera, Pose3dFile, add_options, check_projection, project

SIZE = (320, 240)
JOINTS = 24
JPEG_QUALITY = 95

#: The camera of all clips (`misc/3Dto2D/getIntrinsicBlender.m` of gulvarol/surreal): a
#: lens of 60 mm before a sensor of 32 mm, which is 320 px wide.
CAMERA: Camera = (600.0, 600.0, 160.0, 120.0)

#: From the axes of the world to those of the camera: x to the right, y down, z forward
#: (the matrix `R_world2cv` of `getExtrinsicBlender.m` there); see `camera_joints`.
WORLD_TO_CAMERA = np.array([[0, 0, -1], [0, 1, 0], [-1, 0, 0]], float)

#: Human3.6M's joints as weighted sums of SMPL's; see `human36m_joints`.
HUMAN36M: dict[str, dict[str, float]] = {
    "root": {"pelvis": 1},
    **{
        f"{side}_{joint}": {f"{side}_{smpl}": 1}
        for side in ("right", "left")
        for joint, smpl in {
            **{name: name for name in ("hip", "knee", "shoulder", "elbow", "wrist")},
            "foot": "ankle",
        }.items()
    },
    "spine": {"spine2": 1},
    "thorax": {"neck": 1},
    "neck_base": {"head": 1},
    "head": {"head": 1, "neck": 0.5, "spine3": -0.5},
}


class Frame(NamedTuple):
    """A frame of a clip: its number, its image, and its joints (24, 2)."""

    number: int
    name: str
    joints: np.ndarray


def mirrored_order(names: Sequence[str]) -> list[int]:
    """Return, for every joint, the index of the joint on the other side.

    SURREAL's camera has a matrix of determinant -1 (``datageneration/main_part1.py``
    and ``misc/smpl_relations/smpl_relations.py`` of gulvarol/surreal, which says "note
    that left/right are swapped"): the images are mirror images of the SMPL body. What
    ``joints2D`` calls left is what a viewer sees as the right limb.
    """
    other = dict(left="right", right="left")

    def mirror(name: str) -> str:
        side, _, part = name.partition("_")
        return f"{other[side]}_{part}" if side in other else name

    return [names.index(mirror(name)) for name in names]


def read_joints(path: Path, order: Sequence[int]) -> np.ndarray:
    """Return the joints (T, 24, 2) of a clip, in 0-based pixels, with true sides."""
    return read_per_joint(path, "joints2D", 2)[:, order]


def read_per_joint(path: Path, name: str, axes: int) -> np.ndarray:
    """Return a variable (T, 24, axes) of a clip, in the order of SMPL's joints."""
    values = read_mat(path, name)
    if values.shape[:2] != (axes, JOINTS):
        raise ConversionError(
            f"'{name}' in '{path}' must be {axes} x {JOINTS} x T, but is "
            f"{' x '.join(map(str, values.shape))}"
        )
    values = values.reshape(axes, JOINTS, -1)  # T = 1 is stored without the last axis
    return values.transpose(2, 1, 0).astype(float)


def camera_joints(path: Path, order: Sequence[int]) -> np.ndarray:
    """Return the joints (T, 24, 3) of a clip, in mm, as the camera sees them.

    They are in the frame of the camera (x to the right, y down, z forward) and have
    true sides.

    `joints3D` is in meters in Blender's world, and `camLoc` is the location of the
    camera there. In `main_part1.py`, the columns of the camera's matrix are its axes in
    the world: right (0, 0, -1), up (0, -1, 0), and backward (1, 0, 0). They are
    orthogonal, so with down as minus up, and forward as minus backward::

        X = -(z - z_cam)    Y = y - y_cam    Z = -(x - x_cam)

    The determinant of this matrix is -1: the camera sees the mirror image of SMPL's
    body. X, Y, and Z are the coordinates of that mirror image in a right-handed frame.
    A mirror image of a person is a person whose left limbs are the right ones of the
    original. So with `order`, which exchanges the sides, these are the joints of the
    person in the picture, projected exactly to where they are in it.
    """
    world = read_per_joint(path, "joints3D", 3)
    location = read_mat(path, "camLoc")
    if location.size != 3:
        raise ConversionError(
            f"'camLoc' in '{path}' must be 3 x 1, but is "
            f"{' x '.join(map(str, location.shape))}"
        )
    joints = (world - location.ravel().astype(float)) @ WORLD_TO_CAMERA.T
    return 1000 * joints[:, order]


def human36m_joints(smpl: Sequence[str], human36m: Sequence[str]) -> np.ndarray:
    """Return the matrix (17, 24) that makes Human3.6M's joints of SMPL's.

    - The root is the pelvis, and feet are ankles. Hips, knees, shoulders, elbows, and
      wrists have the same names.
    - The spine is `spine2`, the nearest to Human3.6M's, which is 23 cm above the root.
    - The thorax is where the neck begins, as in 2D.
    - `neck_base` is, in Human3.6M, about 9 cm above the thorax and 8 cm before it. The
      nearest of SMPL's is `head`, on which the head turns.
    - The head is its top, where SMPL has no joint. It is estimated: half the way from
      `spine3` to the neck, added to the joint on which the head turns. This is up along
      the upper spine, and about 11 cm, as from `neck_base` to the head in Human3.6M.

    SMPL's hips are lower and closer to each other than those of Human3.6M.
    """
    matrix = np.zeros((len(human36m), len(smpl)))
    for name, weights in HUMAN36M.items():
        for joint, weight in weights.items():
            matrix[human36m.index(name), smpl.index(joint)] = weight
    return matrix


def read_frames(path: Path, numbers: Sequence[int]) -> list[np.ndarray]:
    """Read frames of a video, given their numbers in ascending order."""
    video, frames = cv2.VideoCapture(str(existing(path))), []
    for number in range(numbers[-1] + 1 if numbers else 0):
        if not video.grab():
            raise ConversionError(f"'{path}' has no frame {number}")
        if number == numbers[len(frames)]:
            frames.append(video.retrieve()[1])
            if frames[-1].shape[1::-1] != SIZE:
                width, height = frames[-1].shape[1::-1]
                raise ConversionError(f"'{path}' is {width} x {height}, not 320 x 240")
    video.release()
    return frames


def convert_clip(
    info: Path, prefix: str, every: int, order: Sequence[int], images: Path
) -> list[Frame]:
    """Write every Nth frame, and return them."""
    joints = read_joints(info, order)
    # In frames without a body, all joints coincide.
    there = np.ptp(joints, axis=1).any(axis=1)
    numbers = [t for t in range(0, len(joints), every) if there[t]]
    clip = info.name.removesuffix("_info.mat")
    names = [f"{prefix}/{clip}_{number:04d}.jpg" for number in numbers]
    if not all((images / name).is_file() for name in names):
        frames = read_frames(info.with_name(f"{clip}.mp4"), numbers)
        for name, frame in zip(names, frames, strict=True):
            _, content = cv2.imencode(
                ".jpg", frame, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY]
            )
            write_bytes(images / name, content.tobytes())
    return [Frame(t, name, joints[t]) for name, t in zip(names, numbers, strict=True)]


def convert_poses(
    info: Path, frames: Sequence[Frame], order: Sequence[int], max_error: float
) -> list[np.ndarray]:
    """Return the joints (24, 3) of the frames, in mm, checked; see `camera_joints`."""
    joints = camera_joints(info, order)
    if any(frame.number >= len(joints) for frame in frames):
        raise ConversionError(f"'joints3D' in '{info}' has only {len(joints)} frames")
    poses = [joints[frame.number] for frame in frames]
    for frame, pose in zip(frames, poses, strict=True):
        what = f"frame {frame.number} of '{info}'"
        check_projection(what, project(pose, CAMERA), frame.joints, max_error)
    return poses


def convert(args: argparse.Namespace) -> None:
    """Write the frames and annotations of all splits."""
    if args.every < 1:
        raise ConversionError(f"--every must be at least 1, not {args.every}")
    for part in args.splits:
        coco, skipped = CocoFile("SurrealDataset", bbox_source="keypoints"), []
        order = mirrored_order(coco.names)
        in_3d = Pose3dFile(bbox_source="keypoints")
        to_human36m = human36m_joints(coco.names, in_3d.names)
        infos = [
            path
            for run_name in args.runs
            for path in sorted((args.folder / part / run_name).glob("*/*_info.mat"))
        ]
        for info in track(infos, part):
            prefix = info.parent.relative_to(args.folder).as_posix()
            try:
                frames = convert_clip(
                    info, prefix, args.every, order, args.out / "images"
                )
                for frame in frames:
                    labels = visible_labels(frame.joints, args.box_scale)
                    if labels:
                        coco.add(frame.name, SIZE, frame.joints, **labels)
                if args.only_2d:
                    continue
                poses = convert_poses(info, frames, order, args.max_error)
                for frame, pose in zip(frames, poses, strict=True):
                    joints = to_human36m @ pose
                    labels = visible_labels(project(joints, CAMERA), args.box_scale)
                    if labels:
                        in_3d.add_pose(frame.name, SIZE, joints, CAMERA, **labels)
            except ConversionError as error:
                if not args.skip_broken:
                    raise
                skipped.append(error)
        coco.write(args.out / f"annotations/surreal_{part}.json")
        if not args.only_2d:
            in_3d.write(args.out / f"annotations/surreal3d_{part}.json")
        for error in skipped:
            print(f"skipped: {error}")


def visible_labels(points: np.ndarray, box_scale: float) -> Mapping | None:
    """Return the flags and the box of joints (K, 2); None if all are outside."""
    inside = ((points >= 0) & (points < SIZE)).all(axis=1)
    if not inside.any():
        return None
    flags = np.where(inside, LABELED, UNLABELED)
    return dict(flags=flags, box=square_box(points[inside], box_scale))


def main(argv: Sequence[str] | None = None) -> None:
    """Convert."""
    parser = make_parser(__doc__, "train/, val/, and test/, such as SURREAL/data/cmu")
    parser.add_argument("out", type=Path, help="output folder, data/surreal")
    parser.add_argument("--splits", nargs="+", default=["train"])
    parser.add_argument("--runs", nargs="+", default=["run0", "run1", "run2"])
    parser.add_argument(
        "--every", type=int, default=10, help="use every Nth frame of a clip"
    )
    parser.add_argument(
        "--box-scale",
        type=float,
        default=1.5,
        help="box side relative to the extent of the joints",
    )
    parser.add_argument(
        "--skip-broken",
        action="store_true",
        help="skip clips that cannot be read, and list them at the end",
    )
    add_options(parser)
    run(parser, convert, argv)


if __name__ == "__main__":
    main()
