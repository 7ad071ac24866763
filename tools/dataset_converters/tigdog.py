"""Convert TigDog's horses and tigers (behaviorDiscovery2.0) to COCO-style JSON."""

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from _coco import (
    LABELED,
    UNLABELED,
    CocoFile,
    ConversionError,
    image_size,
    make_parser,
    read_mat,
    run,
    split,
    square_box,
    track,
)

#: TigDog's landmark of each joint of TigDogDataset; a tiger's are in a different order.
LANDMARKS = dict(
    horse=list(range(18)),
    tiger=[*range(8), 14, 15, 16, 17, 12, 13, 8, 9, 10, 11],
)
MARGIN = 15  # px around the joints, as in the papers


def read_shot(path: Path, frames: int) -> list[np.ndarray]:
    """Return the landmarks (19, 3) of every frame of a shot: x, y, and visibility."""
    landmarks = read_mat(path, "landmarks")
    if len(landmarks) < frames:
        raise ConversionError(
            f"'{path}' has landmarks for {len(landmarks)} frames, but the shot has "
            f"{frames}"
        )
    try:
        # One struct per frame, with the fields positions (x, y) and visibility.
        entries = [landmarks[i][0][0][0] for i in range(frames)]
        return [np.hstack([entry[0], entry[1]]).astype(float) for entry in entries]
    except (IndexError, TypeError, ValueError) as error:
        raise ConversionError(f"'{path}' has no landmarks: {error}") from error


def convert(args: argparse.Namespace) -> None:
    """Write the annotations of both splits."""
    files = {
        part: CocoFile("TigDogDataset", args.animals, bbox_source="keypoints")
        for part in ("train", "val")
    }
    for animal in args.animals:
        ranges = read_mat(args.folder / f"ranges/{animal}/ranges.mat", "ranges")
        shots = [
            tuple(map(int, row))
            for row in ranges
            if (args.folder / f"landmarks/{animal}/{row[0]}.mat").is_file()
        ]
        if not shots:
            raise ConversionError(f"no shot in '{args.folder}/landmarks/{animal}'")
        chosen = split(shots, int(args.val_share * len(shots)), args.seed)
        for (part, coco), part_shots in zip(files.items(), chosen, strict=True):
            for shot, first, last in track(part_shots, f"{animal} {part}"):
                path = args.folder / f"landmarks/{animal}/{shot}.mat"
                frames = read_shot(path, last - first + 1)
                for number, landmarks in enumerate(frames, first):
                    name = f"{animal}/{number:08d}.jpg"
                    joints = landmarks[LANDMARKS[animal]]
                    seen = (joints[:, 2] != 0) & (joints[:, :2] > 0).all(axis=1)
                    if seen.sum() < args.min_joints:
                        continue
                    points = joints[:, :2]
                    margin = np.array([[-MARGIN], [MARGIN]])
                    size = image_size(args.folder / name)
                    extent = np.stack([points[seen].min(0), points[seen].max(0)])
                    extent = np.clip(extent + margin, 0, size)
                    coco.add(
                        name,
                        size,
                        points,
                        np.where(seen, LABELED, UNLABELED),
                        square_box(extent, args.box_scale),
                        animal,
                    )
    for part, coco in files.items():
        coco.write(args.folder / f"annotations/tigdog_{part}.json")


def main(argv: Sequence[str] | None = None) -> None:
    """Convert."""
    parser = make_parser(__doc__, "ranges/, landmarks/, horse/, and tiger/")
    parser.add_argument(
        "--animals", nargs="+", choices=list(LANDMARKS), default=["horse", "tiger"]
    )
    parser.add_argument(
        "--val-share", type=float, default=0.25, help="fraction of the shots, at random"
    )
    parser.add_argument("--seed", type=int, default=0, help="seed of the split")
    parser.add_argument(
        "--min-joints",
        type=int,
        default=10,
        help="minimum number of visible joints, of 18",
    )
    parser.add_argument(
        "--box-scale",
        type=float,
        default=1.25,
        help="box side relative to the extent of the joints plus 15 px around them",
    )
    run(parser, convert, argv)


if __name__ == "__main__":
    main()
