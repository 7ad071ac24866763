"""Convert Leeds Sports Pose, or its extended training set, to COCO-style JSON."""

import argparse
from collections.abc import Sequence

import numpy as np
from _coco import (
    LABELED,
    OCCLUDED,
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

JOINTS = 14


def read_joints(
    mat: np.ndarray, keep_occluded: bool
) -> tuple[np.ndarray, np.ndarray, bool]:
    """Read the matrix ``joints``, whose third value has two meanings.

    Args:
        mat (np.ndarray): (3, 14, N) for LSP, where 1 means occluded, or (14, 3, N) for
            its extended set, where 1 means labeled.
        keep_occluded (bool): Keep the occluded joints of LSP as occluded.

    Returns:
        tuple: The joints (N, 14, 2), their flags (N, 14), and whether the dataset is
        the extended one.
    """
    extended = mat.shape[:2] == (JOINTS, 3)
    if not extended and mat.shape[:2] != (3, JOINTS):
        raise ConversionError(
            f"'joints' must be 3 x {JOINTS} x N (LSP) or {JOINTS} x 3 x N (LSPET), but "
            f"is {' x '.join(map(str, mat.shape))}"
        )
    joints = mat.transpose(2, 0, 1) if extended else mat.transpose(2, 1, 0)
    marked = joints[..., 2] != 0
    if extended:
        flags = np.where(marked, LABELED, UNLABELED)
    else:
        flags = np.where(marked, OCCLUDED if keep_occluded else UNLABELED, LABELED)
    return joints[..., :2].astype(float), flags, extended


def convert(args: argparse.Namespace) -> None:
    """Write the annotations of all splits."""
    mat = read_mat(args.folder / "joints.mat", "joints")
    joints, flags, extended = read_joints(mat, args.keep_occluded)
    images = list(range(len(joints)))
    if extended:
        train, val = split(images, args.val_images, args.seed)
        name, splits = "lspet", dict(train=train, val=val)
    else:
        half = len(images) // 2
        splits = dict(all=images, train=images[:half], test=images[half:])
        name = "lsp"
    digits = 5 if extended else 4
    for part, indices in splits.items():
        source = "keypoints" if extended else "image"
        coco = CocoFile("LspDataset", bbox_source=source)
        for i in track(indices, part):
            file_name = f"im{i + 1:0{digits}d}.jpg"
            size = image_size(args.folder / "images" / file_name)
            labeled = joints[i][flags[i] != UNLABELED]
            # LSP's images are cropped around the person. People without labels are
            # kept: an unlabeled domain must not be selected by its labels.
            box = None
            if extended and len(labeled):
                box = square_box(labeled, args.box_scale)
            coco.add(file_name, size, joints[i], flags[i], box)
        coco.write(args.folder / f"annotations/{name}_{part}.json")


def main(argv: Sequence[str] | None = None) -> None:
    """Convert."""
    parser = make_parser(__doc__, "joints.mat and images/")
    parser.add_argument(
        "--keep-occluded",
        action="store_true",
        help="keep LSP's occluded joints; otherwise, they are unlabeled and not "
        "evaluated, as in papers on adaptation",
    )
    parser.add_argument(
        "--val-images",
        type=int,
        default=1000,
        help="number of images of the extended set, at random",
    )
    parser.add_argument("--seed", type=int, default=0, help="seed of the split")
    parser.add_argument(
        "--box-scale",
        type=float,
        default=1.5,
        help="box side relative to the extent of the joints, for the extended set; "
        "the box of LSP is the image",
    )
    run(parser, convert, argv)


if __name__ == "__main__":
    main()
