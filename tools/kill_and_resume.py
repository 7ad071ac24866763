"""Kill a run at random moments, resume it, and compare it with an uninterrupted one.

The outcomes must match bit for bit: weights, teacher, optimizer, schedulers, loss
history, metrics, log, and remaining files. If they do not, the exit code is 1.
"""

import argparse
import shutil
import tempfile
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from _options import add_cfg_options, existing_file, positive


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    option = parser.add_argument
    option("config", type=existing_file, help="the config file")
    option("--kills", type=positive, default=20, help="least number, in all runs")
    option("--kills-per-run", type=positive, default=5, help="largest number in a run")
    option("--seed", type=int, default=0, help="random seed of the moments")
    option("--threads", type=positive, default=1, help="CPU threads of a run")
    option("--work-dir", type=Path, help="kept if it is given, or if runs differ")
    add_cfg_options(parser)
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> None:
    """Kill, resume, and compare."""
    args = parse_args(argv)
    from mmpose_da.apis.resume_check import check_resume

    root = args.work_dir or Path(tempfile.mkdtemp(prefix="kill_and_resume_"))
    try:
        found = check_resume(
            args.config,
            root,
            args.cfg_options,
            kills=args.kills,
            kills_per_run=args.kills_per_run,
            seed=args.seed,
            threads=args.threads,
            report=partial(print, flush=True),
        )
    except (RuntimeError, ValueError) as error:
        raise SystemExit(f"kill_and_resume.py: {error}") from error
    if found:
        print(*found[:20], sep="\n")
        raise SystemExit(1)
    if args.work_dir is None:
        shutil.rmtree(root)


if __name__ == "__main__":
    main()
