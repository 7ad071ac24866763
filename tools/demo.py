"""Adapt a pose estimator from a studio to a street, on a bare machine, in minutes.

Renders people in both places, trains a source model in the studio, adapts it with
unlabeled images of the street, evaluates both models in the street, and plots the
results. When run again, it resumes where it was interrupted.
"""

import argparse
import os
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path

from _options import positive

CONFIGS = Path(__file__).resolve().parents[1] / "configs" / "da"


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    option = parser.add_argument
    option(
        "--work-dir",
        type=Path,
        default=Path("work_dirs/demo"),
        help="folder for runs and pictures (default: %(default)s)",
    )
    option(
        "--data-root",
        type=Path,
        default=Path(os.environ.get("MMPOSE_DA_DATA", "data")),
        help="folder for the images, in synthetic/ (default: $MMPOSE_DA_DATA or data)",
    )
    option("--seed", type=int, default=0, help="random seed of both runs")
    option(
        "--iters",
        type=positive,
        help="iterations of either run, for a quick look; too few teach nothing",
    )
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> None:
    """Run the demo."""
    args = parse_args(argv)
    # Silence MMPose's warnings about where it finds its own files, and MMEngine's
    # messages about environment variables that configs read.
    warnings.filterwarnings("ignore", category=UserWarning, module="mmpose")
    from mmengine.logging import MMLogger
    from rich.console import Console

    from mmpose_da.apis.demo import run_demo

    MMLogger.get_current_instance().setLevel("WARNING")
    console = Console(file=sys.stdout)
    try:
        run_demo(
            CONFIGS,
            args.work_dir,
            args.data_root,
            console,
            seed=args.seed,
            iters=args.iters,
        )
    except KeyboardInterrupt:
        console.print("interrupted; the same command resumes from here")
        sys.exit(130)
    except (RuntimeError, OSError) as error:
        sys.exit(f"demo.py: {error}")


if __name__ == "__main__":
    main()
