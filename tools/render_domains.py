"""Render the built-in pair of domains: people in a studio, and people in a street."""

import argparse
import os
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import cv2
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
)

from mmpose_da.rendering import STREET, STUDIO, contact_sheet, write_domain

#: Each domain, its format, and the default number of images of each split.
DOMAINS = (
    (STUDIO, "coco", ["train=3000"]),
    (STREET, "mpii", ["train=3000", "val=800"]),
)


def split_count(value: str) -> tuple[str, int]:
    """Parse ``train=3000``, for ``argparse``."""
    split, _, count = value.partition("=")
    if not split.isidentifier() or not count.isdecimal():
        raise argparse.ArgumentTypeError(f"'{value}' is not like train=3000")
    return split, int(count)


def make_parser() -> argparse.ArgumentParser:
    """Create the parser."""
    parser = argparse.ArgumentParser(
        description="Render people in a studio (COCO format) and in a street (MPII "
        "format) into data sets that MMPose reads"
    )
    parser.add_argument(
        "--out",
        type=Path,
        default=Path(os.environ.get("MMPOSE_DA_DATA", "data"), "synthetic"),
        help="the folder for both, by default $MMPOSE_DA_DATA/synthetic or "
        "data/synthetic",
    )
    parser.add_argument("--seed", type=int, default=0, help="another one, other people")
    parser.add_argument("--size", type=int, default=160, help="side of an image in px")
    for domain, _, counts in DOMAINS:
        parser.add_argument(
            f"--{domain.name}",
            nargs="*",
            type=split_count,
            default=[split_count(count) for count in counts],
            metavar="SPLIT=IMAGES",
            help=f"number of images of each split, by default {' '.join(counts)}; "
            "nothing leaves the domain out",
        )
    parser.add_argument(
        "--workers",
        type=int,
        default=os.cpu_count(),
        help="processes, by default one for each CPU; 0 renders without any",
    )
    parser.add_argument(
        "--overwrite", action="store_true", help="replace sets made in another way"
    )
    parser.add_argument(
        "--sheet",
        type=Path,
        metavar="IMAGE",
        help="write no set, but a picture of both domains",
    )
    parser.add_argument("--rows", type=int, default=4, help="of the sheet")
    parser.add_argument("--cols", type=int, default=6, help="of each domain's half")
    return parser


def progress_bars(console: Console | None = None) -> Progress:
    """Create bars with a text, a count, and the remaining (finally, elapsed) time."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(elapsed_when_finished=True),
        console=console,
    )


def main(argv: Sequence[str] | None = None) -> None:
    """Render."""
    parser = make_parser()
    args = parser.parse_args(argv)
    if args.sheet is not None:
        sheet = contact_sheet(
            (STUDIO, STREET), args.rows, args.cols, args.seed, args.size
        )
        args.sheet.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(args.sheet), sheet)
        print(args.sheet)
        return
    for domain, format, _ in DOMAINS:
        counts = dict(getattr(args, domain.name))
        if not counts:
            continue
        folder, total, start = args.out / domain.name, sum(counts.values()), time.time()
        with progress_bars() as bars:
            bar = bars.add_task(domain.name, total=total, visible=False)
            try:
                written = write_domain(
                    folder,
                    domain,
                    counts,
                    seed=args.seed,
                    size=args.size,
                    format=format,
                    workers=args.workers,
                    overwrite=args.overwrite,
                    progress=partial(bars.update, bar, advance=1, visible=True),
                )
            except (FileExistsError, ValueError) as error:
                parser.exit(1, f"render_domains.py: {error}\n")
        if written:
            each = (time.time() - start) / total
            print(f"{folder}: {total} images, {1000 * each:.1f} ms each")
        else:
            print(f"{folder}: {total} images are there already, made in this way")


if __name__ == "__main__":
    main()
