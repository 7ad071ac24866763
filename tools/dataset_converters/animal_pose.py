"""Convert Animal-Pose (keypoints.json) to COCO-style JSON, for some of its animals."""

import argparse
from collections.abc import Sequence

import numpy as np
from _coco import (
    LABELED,
    UNLABELED,
    CocoFile,
    ConversionError,
    image_size,
    make_parser,
    read_json,
    run,
    split,
    square_box,
    track,
)

#: Index in keypoints.json of each joint of MMPose's AnimalPoseDataset.
ORDER = [0, 1, 3, 4, 2, 17, 19, 18, *range(5, 17)]


def convert(args: argparse.Namespace) -> None:
    """Write the annotations of both splits."""
    path = args.folder / "keypoints.json"
    content = read_json(path)
    missing = {"images", "annotations", "categories"} - set(content)
    if missing:
        raise ConversionError(f"'{path}' has no {sorted(missing)}")
    ids = {entry["name"]: entry["id"] for entry in content["categories"]}
    files = {
        part: CocoFile("AnimalPoseDataset", args.animals) for part in ("train", "val")
    }
    for animal in args.animals:
        if animal not in ids:
            raise ConversionError(f"'{path}' has {sorted(ids)}, but no '{animal}'")
        annotations = [
            entry
            for entry in content["annotations"]
            if entry["category_id"] == ids[animal]
        ]
        images = sorted({entry["image_id"] for entry in annotations})
        chosen = split(images, int(args.val_share * len(images)), args.seed)
        for (part, coco), image_ids in zip(files.items(), chosen, strict=True):
            of_part = [e for e in annotations if e["image_id"] in set(image_ids)]
            for entry in track(of_part, f"{animal} {part}"):
                joints = np.array(entry["keypoints"], float)
                if joints.shape != (20, 3):
                    raise ConversionError(
                        f"an annotation of image {entry['image_id']} in '{path}' does "
                        f"not have 20 x 3 numbers"
                    )
                joints = joints[ORDER]
                name = content["images"][str(entry["image_id"])]
                corners = np.array(entry["bbox"], float).reshape(2, 2)
                coco.add(
                    name,
                    image_size(args.folder / "images" / name),
                    joints[:, :2],
                    np.where(joints[:, 2] != 0, LABELED, UNLABELED),
                    square_box(corners, args.box_scale),
                    animal,
                )
    for part, coco in files.items():
        coco.write(args.folder / f"annotations/{'_'.join(args.animals)}_{part}.json")


def main(argv: Sequence[str] | None = None) -> None:
    """Convert."""
    parser = make_parser(__doc__, "keypoints.json and images/")
    parser.add_argument("--animals", nargs="+", default=["sheep", "dog"])
    parser.add_argument(
        "--val-share", type=float, default=0.2, help="fraction of the images, at random"
    )
    parser.add_argument("--seed", type=int, default=0, help="seed of the split")
    parser.add_argument(
        "--box-scale",
        type=float,
        default=1.25,
        help="box side relative to the annotated box",
    )
    run(parser, convert, argv)


if __name__ == "__main__":
    main()
