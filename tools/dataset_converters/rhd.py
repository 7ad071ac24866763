"""Convert the Rendered Handpose Dataset to COCO-style JSON, one instance per hand."""

import argparse
from collections.abc import Sequence

import numpy as np
from _coco import (
    LABELED,
    UNLABELED,
    CocoFile,
    ConversionError,
    make_parser,
    read_pickle,
    run,
    square_box,
    track,
)

SIZE = (320, 320)
HANDS = dict(left=slice(0, 21), right=slice(21, 42))


def overlap(box: np.ndarray, points: np.ndarray) -> float:
    """Return the share of a box that the extent of points covers."""
    low = np.maximum(box[:2], points.min(0))
    high = np.minimum(box[:2] + box[2:], points.max(0))
    return float(np.prod(np.maximum(high - low, 0)) / np.prod(box[2:]))


def convert(args: argparse.Namespace) -> None:
    """Write the annotations of both splits."""
    for part, folder in dict(train="training", test="evaluation").items():
        path = args.folder / f"{folder}/anno_{folder}.pickle"
        coco = CocoFile("Rhd2DDataset", ["hand"], bbox_source="keypoints")
        annotations = sorted(read_pickle(path).items())
        for number, annotation in track(annotations, part):
            joints = np.asarray(annotation.get("uv_vis"), float)
            if joints.shape != (42, 3):
                raise ConversionError(
                    f"'uv_vis' of image {number} in '{path}' must be 42 x 3, but is "
                    f"{' x '.join(map(str, joints.shape))}"
                )
            for hand, ids in HANDS.items():
                other = HANDS["right" if hand == "left" else "left"]
                points, visible = joints[ids, :2], joints[ids, 2] != 0
                box = square_box(points, args.box_scale)
                if (
                    box[2] > args.min_side
                    and visible.sum() >= args.min_visible
                    and overlap(box, joints[other, :2]) < args.max_overlap
                ):
                    flags = np.where(visible, LABELED, UNLABELED)
                    name = f"{folder}/color/{number:05d}.png"
                    coco.add(name, SIZE, points, flags, box)
        coco.write(args.folder / f"annotations/rhd_hands_{part}.json")


def main(argv: Sequence[str] | None = None) -> None:
    """Convert."""
    parser = make_parser(__doc__, "training/ and evaluation/ (RHD_published_v2)")
    parser.add_argument(
        "--box-scale",
        type=float,
        default=1.5,
        help="box side relative to the extent of the joints",
    )
    parser.add_argument(
        "--min-side", type=float, default=64, help="minimum side of a box, in px"
    )
    parser.add_argument(
        "--min-visible",
        type=int,
        default=17,
        help="minimum number of visible joints, of 21",
    )
    parser.add_argument(
        "--max-overlap",
        type=float,
        default=0.3,
        help="maximum fraction of the box that the other hand covers",
    )
    run(parser, convert, argv)


if __name__ == "__main__":
    main()
