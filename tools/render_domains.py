"""Render the embedded domains: people in a studio, in a street, and in a crowd.

The studio has COCO's annotation format, the street MPII's, and the crowd CrowdPose's;
MMPose reads all three. The crowd is only rendered with --crowd.
"""

import argparse
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

#: The domains, with the default number of images of each split.
DOMAINS = dict(studio=dict(train=3000), street=dict(train=3000, val=800))
CROWD = dict(train=1500, val=400)


def split_count(value: str) -> tuple[str, int]:
    """Parse ``train=3000``, for ``argparse``."""
    split, _, count = value.partition("=")
    if not split.isidentifier() or not count.isdecimal():
        raise argparse.ArgumentTypeError(f"'{value}' is not like train=3000")
    return split, int(count)


def shown(counts: Mapping[str, int]) -> str:
    """Write counts as ``split_count`` reads them."""
    return " ".join(f"{split}={count}" for split, count in counts.items())


def make_parser() -> argparse.ArgumentParser:
    """Create the parser."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    option = parser.add_argument
    option(
        "--out",
        type=Path,
        default=Path(os.environ.get("MMPOSE_DA_DATA", "data"), "synthetic"),
        help="folder for all (default: $MMPOSE_DA_DATA/synthetic or data/synthetic)",
    )
    option("--seed", type=int, default=0, help="random seed of the people")
    option("--size", type=int, default=160, help="side of an image in pixels")
    splits = dict(nargs="*", type=split_count, metavar="SPLIT=IMAGES")
    for domain, counts in DOMAINS.items():
        option(
            f"--{domain}",
            default=list(counts.items()),
            help=f"number of images of each split (default: {shown(counts)}); without "
            "a value, the domain is skipped",
            **splits,
        )
    option(
        "--crowd",
        help="render the crowd, too, with this number of images of each split; "
        f"without a value: {shown(CROWD)}",
        **splits,
    )
    option(
        "--workers",
        type=int,
        default=os.cpu_count(),
        help="number of processes (default: one per CPU); 0 renders in this one",
    )
    option(
        "--overwrite",
        action="store_true",
        help="replace sets that were made with other settings",
    )
    option(
        "--sheet",
        type=Path,
        metavar="IMAGE",
        help="write no set, but a picture with people of both domains, and with "
        "--crowd of the crowd",
    )
    option("--rows", type=int, default=4, help="rows of the sheet")
    option("--cols", type=int, default=6, help="columns of each domain in the sheet")
    return parser


def main(argv: Sequence[str] | None = None) -> None:
    """Render."""
    parser = make_parser()
    args = parser.parse_args(argv)
    import cv2

    from mmpose_da import rendering
    from mmpose_da.apis.render import progress_bars, render_pair

    counts = {domain: dict(getattr(args, domain)) for domain in DOMAINS}
    if args.crowd is not None:
        counts["crowd"] = dict(args.crowd) or CROWD
    if args.sheet is not None:
        domains = [rendering.DOMAINS[name] for name in counts]
        sheet = rendering.contact_sheet(
            domains, args.rows, args.cols, args.seed, args.size
        )
        args.sheet.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(args.sheet), sheet)
        print(args.sheet)
        return
    try:
        with progress_bars() as bars:
            render_pair(
                args.out,
                bars,
                counts=counts,
                seed=args.seed,
                size=args.size,
                workers=args.workers,
                overwrite=args.overwrite,
            )
    except (FileExistsError, ValueError) as error:
        parser.exit(1, f"render_domains.py: {error}\n")


if __name__ == "__main__":
    main()
