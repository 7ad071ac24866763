"""Convert SURREAL's videos to JPEG frames and COCO-style JSON."""

import argparse
from collections.abc import Sequence
from pathlib import Path

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

SIZE = (320, 240)
JOINTS = 24
JPEG_QUALITY = 95


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
    joints = read_mat(path, "joints2D")
    if joints.shape[:2] != (2, JOINTS):
        raise ConversionError(
            f"'joints2D' in '{path}' must be 2 x {JOINTS} x T, but is "
            f"{' x '.join(map(str, joints.shape))}"
        )
    joints = joints.reshape(2, JOINTS, -1)  # T = 1 is stored without the last axis
    return joints.transpose(2, 1, 0)[:, order].astype(float)


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
) -> list[tuple[str, np.ndarray]]:
    """Write every Nth frame; return their names and joints (24, 2)."""
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
    return [(name, joints[t]) for name, t in zip(names, numbers, strict=True)]


def convert(args: argparse.Namespace) -> None:
    """Write the frames and annotations of all splits."""
    if args.every < 1:
        raise ConversionError(f"--every must be at least 1, not {args.every}")
    for part in args.splits:
        coco, skipped = CocoFile("SurrealDataset", bbox_source="keypoints"), []
        order = mirrored_order(coco.names)
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
            except ConversionError as error:
                if not args.skip_broken:
                    raise
                skipped.append(error)
                continue
            for name, joints in frames:
                inside = ((joints >= 0) & (joints < SIZE)).all(axis=1)
                if inside.any():
                    flags = np.where(inside, LABELED, UNLABELED)
                    box = square_box(joints[inside], args.box_scale)
                    coco.add(name, SIZE, joints, flags, box)
        coco.write(args.out / f"annotations/surreal_{part}.json")
        for error in skipped:
            print(f"skipped: {error}")


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
    run(parser, convert, argv)


if __name__ == "__main__":
    main()
