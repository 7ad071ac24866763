"""Convert Human3.6M, prepared by MMPose (preprocess_h36m.py), to COCO-style JSON."""

import argparse
import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from _coco import (
    LABELED,
    CocoFile,
    ConversionError,
    existing,
    make_parser,
    read_pickle,
    run,
    split,
    square_box,
    track,
)
from _pose3d import Camera, Pose3dFile, add_options, check_projection, project

#: Width and height of the images of each camera.
CAMERAS = {
    "54138969": (1000, 1002),
    "55011271": (1000, 1000),
    "58860488": (1000, 1000),
    "60457274": (1000, 1002),
}

#: The subjects of protocol 1, by part.
SUBJECTS = dict(train={"S1", "S5", "S6", "S7", "S8"}, test={"S9", "S11"})


class Frame(NamedTuple):
    """What the name of an image says; the first frame of a video is number 1."""

    subject: str
    action: str
    camera: str
    number: int


class Lens(NamedTuple):
    """A camera of the release: its ideal part in px, and how its lens distorts."""

    camera: Camera
    radial: np.ndarray
    tangential: np.ndarray

    def project(self, joints: np.ndarray) -> np.ndarray:
        """Project joints (K, 3) in the frame of the camera to pixels, as the lens does.

        The model is that of the release, which is OpenCV's: with radial k1, k2, k3 and
        tangential p1, p2, a ray (x, y, 1) with r^2 = x^2 + y^2 becomes::

            x' = x d + p2 r^2    y' = y d + p1 r^2
            d = 1 + k1 r^2 + k2 r^4 + k3 r^6 + 2 (p2 x + p1 y)
        """
        rays = joints[:, :2] / joints[:, 2:]
        square = (rays**2).sum(axis=1, keepdims=True)
        swapped = self.tangential[::-1]
        powers = square ** np.arange(1, 4)
        factor = 1 + powers @ self.radial[:, None] + 2 * rays @ swapped[:, None]
        rays = rays * factor + square * swapped
        return project(np.column_stack([rays, np.ones(len(rays))]), self.camera)


def read_annotations(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Return the image names (N,) and joints (N, 17, 2) of MMPose's file."""
    with np.load(existing(path), allow_pickle=False) as content:
        missing = {"imgname", "part"} - set(content.files)
        if missing:
            raise ConversionError(f"'{path}' has no array {sorted(missing)}")
        names, joints = content["imgname"], content["part"]
    if joints.shape[1:] != (17, 3) or len(joints) != len(names):
        raise ConversionError(
            f"'part' in '{path}' must be {len(names)} x 17 x 3, but is "
            f"{' x '.join(map(str, joints.shape))}"
        )
    return names, joints[..., :2].astype(float)


def camera_size(name: str) -> tuple[int, int]:
    """Return the size of an image, given its name."""
    match = re.search(r"\.(\d+)_\d+\.\w+$", name)
    if match is None or match[1] not in CAMERAS:
        raise ConversionError(
            f"the image name '{name}' contains none of the cameras {sorted(CAMERAS)}"
        )
    return CAMERAS[match[1]]


def read_poses(path: Path, count: int) -> np.ndarray:
    """Return the joints (N, 17, 3) of MMPose's file in mm in the frame of the camera.

    `preprocess_h36m.py` takes them from `D3_Positions_mono`, which is in that frame,
    and writes meters.
    """
    with np.load(existing(path), allow_pickle=False) as content:
        if "S" not in content.files:
            raise ConversionError(f"'{path}' has no array 'S'")
        joints = content["S"]
    if joints.shape != (count, 17, 4):
        raise ConversionError(
            f"'S' in '{path}' must be {count} x 17 x 4, but is "
            f"{' x '.join(map(str, joints.shape))}"
        )
    return 1000 * joints[..., :3].astype(float)


def read_lenses(path: Path) -> dict[tuple[str, str], Lens]:
    """Return the cameras of MMPose's file by subject and number of the camera."""
    cameras, lenses = read_pickle(path), {}
    try:
        for key, content in cameras.items():
            focal, center = (np.ravel(content[name]) for name in "fc")
            camera = np.concatenate([focal, center]).astype(float)
            radial, tangential = (np.ravel(content[name]) for name in "kp")
            sizes = len(camera), len(radial), len(tangential)
            if sizes != (4, 3, 2) or not np.isfinite(camera).all():
                raise ValueError(f"the camera {key} has no valid f, c, k, and p")
            lenses[key] = Lens(tuple(camera.tolist()), radial, tangential)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ConversionError(
            f"'{path}' must have f, c, k, and p of each camera: {error!r}"
        ) from error
    return lenses


def parse_name(name: str) -> Frame:
    """Read the name of an image, such as S1_Directions_1.54138969_000001.jpg."""
    match = re.search(r"(S\d+)_([^/]+)\.(\d+)_(\d+)\.\w+$", name)
    if match is None:
        raise ConversionError(
            f"the image name '{name}' is not like S1_Directions_1.54138969_000001.jpg"
        )
    subject, action, camera, number = match.groups()
    return Frame(subject, action, camera, int(number))


def thin_out(frames: Sequence[Frame], every: int) -> list[int]:
    """Return the indices of every Nth frame of each video.

    These are the first frame that is there, and the first one at or after each multiple
    of ``every``. In a file that has all frames of the videos, it is every Nth of them.
    """
    order = sorted(range(len(frames)), key=lambda i: frames[i])
    first: dict[tuple, int] = {}
    for i in order:
        first.setdefault((*frames[i][:3], (frames[i].number - 1) // every), i)
    return sorted(first.values())


def convert(args: argparse.Namespace) -> None:
    """Write the annotations of the training and test subjects."""
    if args.every < 1:
        raise ConversionError(f"--every must be at least 1, not {args.every}")
    for part in ("train", "test"):
        convert_2d(args, part)
    if args.only_2d:
        return
    lenses = read_lenses(args.folder / "annotation_body3d/cameras.pkl")
    for part in ("train", "test"):
        convert_3d(args, part, lenses)


def convert_2d(args: argparse.Namespace, part: str) -> None:
    """Write the 2D annotations of the training or test subjects."""
    names, joints = read_annotations(
        args.folder / f"annotation_body3d/{args.fps}/h36m_{part}.npz"
    )
    indices = list(range(len(names)))
    if part == "test":
        count = min(args.test_images, len(indices))
        indices = split(indices, count, args.seed)[1]
    coco = CocoFile("Human36mDataset", bbox_source="keypoints")
    for i in track(indices, part):
        name = str(names[i])
        box = square_box(joints[i], args.box_scale)
        coco.add(name, camera_size(name), joints[i], np.full(17, LABELED), box)
    coco.write(args.folder / f"annotations/h36m_{part}.json")


def convert_3d(
    args: argparse.Namespace, part: str, lenses: dict[tuple[str, str], Lens]
) -> None:
    """Write the 3D annotations of the training or test subjects.

    The camera of a person is the ideal part of its lens, and the 2D joints are where
    that camera sees the 3D joints. On the image, these are up to 2 or 3 px beside the
    joints of the release, which the lens distorts; see `Lens`. With these, the 3D
    joints are checked.
    """
    path = args.folder / f"annotation_body3d/{args.fps}/h36m_{part}.npz"
    names, annotated = read_annotations(path)
    names = [str(name) for name in names]
    poses = read_poses(path, len(names))
    frames = [parse_name(name) for name in names]
    others = {frame.subject for frame in frames} - SUBJECTS[part]
    if others:
        raise ConversionError(
            f"'{path}' has {sorted(others)}, but the {part} subjects of protocol 1 are "
            f"{sorted(SUBJECTS[part])}"
        )
    chosen = range(len(names))
    if part == "test":
        chosen = thin_out(frames, args.every)
    coco = Pose3dFile(bbox_source="keypoints")
    for i in track(chosen, f"{part}, 3D"):
        name, pose, key = names[i], poses[i], (frames[i].subject, frames[i].camera)
        if key not in lenses:
            raise ConversionError(f"cameras.pkl has no camera {key}, of '{name}'")
        lens = lenses[key]
        check_projection(f"'{name}'", lens.project(pose), annotated[i], args.max_error)
        box = square_box(project(pose, lens.camera), args.box_scale)
        flags = np.full(17, LABELED)
        coco.add_pose(name, camera_size(name), pose, lens.camera, flags, box)
    coco.write(args.folder / f"annotations/h36m3d_{part}.json")


def main(argv: Sequence[str] | None = None) -> None:
    """Convert."""
    parser = make_parser(__doc__, "annotation_body3d/ and images/")
    parser.add_argument(
        "--fps", default="fps10", help="annotation folder, named by frame rate"
    )
    parser.add_argument(
        "--test-images",
        type=int,
        default=3200,
        help="number of images of S9 and S11 in 2D, at random",
    )
    parser.add_argument("--seed", type=int, default=0, help="seed of that choice")
    parser.add_argument(
        "--every",
        type=int,
        default=64,
        help="use every Nth video frame of S9 and S11 in 3D",
    )
    parser.add_argument(
        "--box-scale",
        type=float,
        default=1.5,
        help="box side relative to the extent of the joints",
    )
    add_options(parser)
    run(parser, convert, argv)


if __name__ == "__main__":
    main()
