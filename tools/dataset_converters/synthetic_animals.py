"""Convert the synthetic animals of Mu et al. (CVPR 2020) to COCO-style JSON."""

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from _coco import (
    LABELED,
    UNLABELED,
    CocoFile,
    ConversionError,
    existing,
    image_size,
    make_parser,
    run,
    split,
    square_box,
    track,
)

#: The mesh vertex of each joint, in the order of TigDogDataset; from
#: pose/datasets/synthetic_animal_sp.py of JitengMu/Learning-from-Synthetic-Animals.
VERTICES = dict(
    horse=[
        *(1718, 1684, 1271, 1634, 1650, 1643, 1659, 925, 392),
        *(564, 993, 726, 1585, 1556, 427, 1548, 967, 877),
    ],
    tiger=[
        *(2753, 2679, 2032, 1451, 1287, 3085, 1632, 229, 1441),
        *(1280, 2201, 1662, 266, 158, 270, 152, 219, 129),
    ],
    sheep=[
        *(2046, 1944, 1267, 1875, 1900, 1868, 1894, 687, 173),
        *(1829, 1422, 821, 624, 580, 622, 575, 1370, 716),
    ],
    hound=[
        *(2028, 2580, 912, 878, 977, 1541, 1734, 480, 799),
        *(1575, 1446, 602, 755, 673, 780, 1580, 466, 631),
    ],
)


def read_vertices(path: Path, needed: int) -> np.ndarray:
    """Return the vertices (V, 3) of a mesh in its image: x, y, and visibility."""
    try:
        vertices = np.load(existing(path), allow_pickle=False)
    except (ValueError, EOFError) as error:
        raise ConversionError(f"'{path}' cannot be read: {error}") from error
    if vertices.ndim != 2 or vertices.shape[1] != 3 or len(vertices) < needed:
        raise ConversionError(
            f"'{path}' must be {needed} x 3 or longer, but is "
            f"{' x '.join(map(str, vertices.shape))}"
        )
    return vertices.astype(float)


def convert(args: argparse.Namespace) -> None:
    """Write the annotations of both splits."""
    files = {
        part: CocoFile("TigDogDataset", args.animals, bbox_source="mesh")
        for part in ("train", "val")
    }
    for animal in args.animals:
        folder = f"{animal}_combineds5r5_texture"
        images = sorted(existing(args.folder / folder).glob("*img.png"))
        chosen = split(images, int(args.val_share * len(images)), args.seed)
        for (part, coco), paths in zip(files.items(), chosen, strict=True):
            for path in track(paths, f"{animal} {part}"):
                kpts = path.with_name(path.name.removesuffix("img.png") + "kpts.npy")
                vertices = read_vertices(kpts, max(VERTICES[animal]) + 1)
                joints = vertices[VERTICES[animal]]
                size = image_size(path)
                inside = ((joints[:, :2] >= 0) & (joints[:, :2] < size)).all(axis=1)
                if args.visible_only:
                    inside &= joints[:, 2] != 0
                if not inside.any():
                    continue
                coco.add(
                    f"{folder}/{path.name}",
                    size,
                    joints[:, :2],
                    np.where(inside, LABELED, UNLABELED),
                    square_box(np.clip(vertices[:, :2], 0, size), args.box_scale),
                    animal,
                )
    for part, coco in files.items():
        coco.write(args.folder / f"annotations/{'_'.join(args.animals)}_{part}.json")


def main(argv: Sequence[str] | None = None) -> None:
    """Convert."""
    parser = make_parser(__doc__, "horse_combineds5r5_texture/ and so on")
    parser.add_argument(
        "--animals", nargs="+", choices=list(VERTICES), default=["horse", "tiger"]
    )
    parser.add_argument(
        "--visible-only",
        action="store_true",
        help="leave out occluded joints; the papers train with them",
    )
    parser.add_argument(
        "--val-share", type=float, default=0.2, help="fraction of the images, at random"
    )
    parser.add_argument("--seed", type=int, default=0, help="seed of the split")
    parser.add_argument(
        "--box-scale", type=float, default=1.25, help="box side relative to the animal"
    )
    run(parser, convert, argv)


if __name__ == "__main__":
    main()
