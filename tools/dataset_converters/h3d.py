"""Convert Hand-3D-Studio, as RegDA provides it (H3D_crop), to COCO-style JSON."""

import argparse
import random
from collections.abc import Sequence

import numpy as np
from _coco import (
    LABELED,
    CocoFile,
    ConversionError,
    image_size,
    make_parser,
    read_json,
    run,
    track,
)

#: RegDA's selection of the test images: their share, their maximum number, and the
#: seed.
TEST_SHARE, TEST_IMAGES, SEED = 0.2, 3200, 42


def regda_split(samples: list) -> tuple[list, list]:
    """Return RegDA's training and test images, shuffled with a fixed seed."""
    samples = list(samples)
    random.Random(SEED).shuffle(samples)
    count = min(int(len(samples) * TEST_SHARE), TEST_IMAGES)
    return samples[count:], samples[:count]


def convert(args: argparse.Namespace) -> None:
    """Write the annotations of both splits."""
    path = args.folder / "annotation.json"
    samples = list(read_json(path))
    for number, sample in enumerate(samples):
        missing = {"name", "keypoint2d", "without_object"} - set(sample)
        if missing or np.shape(sample["keypoint2d"]) != (21, 2):
            raise ConversionError(
                f"entry {number} of '{path}' must have name, keypoint2d (21 x 2), and "
                "without_object"
            )
    if args.hands != "all":
        free = int(args.hands == "free")
        samples = [s for s in samples if int(s["without_object"]) == free]
    for part, chosen in zip(("train", "test"), regda_split(samples), strict=True):
        # Boxes are whole images, but RegDA cropped these around the joints.
        coco = CocoFile("FreiHandDataset", ["hand"], bbox_source="keypoints")
        for sample in track(chosen, part):
            size = image_size(args.folder / sample["name"])
            points = np.array(sample["keypoint2d"], float)
            coco.add(sample["name"], size, points, np.full(21, LABELED))
        coco.write(args.folder / f"annotations/h3d_{part}.json")


def main(argv: Sequence[str] | None = None) -> None:
    """Convert."""
    parser = make_parser(__doc__, "annotation.json and part1/ to part5/ (H3D_crop)")
    parser.add_argument(
        "--hands",
        choices=["free", "with-object", "all"],
        default="free",
        help="hands to convert; RegDA uses those that hold nothing",
    )
    run(parser, convert, argv)


if __name__ == "__main__":
    main()
