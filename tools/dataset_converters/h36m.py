"""Convert Human3.6M, prepared by MMPose (preprocess_h36m.py), to 2D COCO-style JSON."""

import argparse
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from _coco import (
    LABELED,
    CocoFile,
    ConversionError,
    existing,
    make_parser,
    run,
    split,
    square_box,
    track,
)

#: Width and height of the images of each camera.
CAMERAS = {
    "54138969": (1000, 1002),
    "55011271": (1000, 1000),
    "58860488": (1000, 1000),
    "60457274": (1000, 1002),
}


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


def convert(args: argparse.Namespace) -> None:
    """Write the annotations of the training and test subjects."""
    for part in ("train", "test"):
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
        help="number of images of S9 and S11, at random",
    )
    parser.add_argument("--seed", type=int, default=0, help="seed of that choice")
    parser.add_argument(
        "--box-scale",
        type=float,
        default=1.5,
        help="box side relative to the extent of the joints",
    )
    run(parser, convert, argv)


if __name__ == "__main__":
    main()
