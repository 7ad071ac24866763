"""Convert FreiHAND to COCO-style JSON, split by hand."""

import argparse
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from _coco import (
    LABELED,
    CocoFile,
    ConversionError,
    existing,
    make_parser,
    read_json,
    run,
    split,
    square_box,
    track,
)

SIZE = (224, 224)
#: Every hand appears once with each background. The images with the first one come
#: first.
BACKGROUNDS = ("green-screen", "homogenized", "sampled", "automatic")


def read_joints(folder: Path) -> np.ndarray:
    """Return the joints (N, 21, 2) of all hands in pixels, projected from 3D."""
    camera = np.array(read_json(folder / "training_K.json"), float)
    joints = np.array(read_json(folder / "training_xyz.json"), float)
    if camera.shape != (len(joints), 3, 3) or joints.shape[1:] != (21, 3):
        raise ConversionError(
            f"'{folder}/training_K.json' and 'training_xyz.json' must be N x 3 x 3 and "
            f"N x 21 x 3, but are {' x '.join(map(str, camera.shape))} and "
            f"{' x '.join(map(str, joints.shape))}"
        )
    points = joints @ camera.transpose(0, 2, 1)
    return points[..., :2] / points[..., 2:]


def mask_box(path: Path, scale: float) -> np.ndarray:
    """Return the square around the hand in a mask, times ``scale``."""
    mask = cv2.imread(str(existing(path)), cv2.IMREAD_GRAYSCALE)
    if mask is None:
        raise ConversionError(f"'{path}' is not an image")
    rows, columns = np.nonzero(mask > 127)
    if not len(rows):
        raise ConversionError(f"the mask '{path}' shows no hand")
    return square_box(np.stack([columns, rows], axis=1), scale)


def convert(args: argparse.Namespace) -> None:
    """Write the annotations of both splits."""
    joints = read_joints(args.folder)
    hands = list(range(len(joints)))
    parts = zip(("train", "val"), split(hands, args.val_hands, args.seed), strict=True)
    for part, indices in parts:
        source = "mask" if args.boxes == "mask" else "keypoints"
        coco = CocoFile("FreiHandDataset", ["hand"], bbox_source=source)
        for i in track(indices, part):
            if args.boxes == "mask":
                mask = args.folder / f"training/mask/{i:08d}.jpg"
                box = mask_box(mask, args.mask_scale)
            else:
                box = square_box(joints[i], args.box_scale)
            for background in args.backgrounds:
                number = i + len(joints) * BACKGROUNDS.index(background)
                name = f"training/rgb/{number:08d}.jpg"
                coco.add(name, SIZE, joints[i], np.full(21, LABELED), box)
        coco.write(args.folder / f"annotations/freihand_hands_{part}.json")


def main(argv: Sequence[str] | None = None) -> None:
    """Convert."""
    parser = make_parser(__doc__, "training/ and training_{K,xyz}.json")
    parser.add_argument(
        "--backgrounds", nargs="+", choices=BACKGROUNDS, default=list(BACKGROUNDS)
    )
    parser.add_argument(
        "--val-hands",
        type=int,
        default=800,
        help="number of hands, at random; a hand is in one split with all backgrounds",
    )
    parser.add_argument("--seed", type=int, default=0, help="seed of the split")
    parser.add_argument(
        "--boxes",
        choices=["mask", "joints"],
        default="mask",
        help="what the square boxes enclose; joints are labels, which the crops of an "
        "unlabeled domain then reveal",
    )
    parser.add_argument(
        "--mask-scale",
        type=float,
        default=1.25,
        help="box side relative to the extent of the mask, with --boxes mask",
    )
    parser.add_argument(
        "--box-scale",
        type=float,
        default=1.5,
        help="box side relative to the extent of the joints, with --boxes joints",
    )
    run(parser, convert, argv)


if __name__ == "__main__":
    main()
