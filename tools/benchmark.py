"""Train adaptation methods over several seeds with one budget, and make one table.

Every row is a config. All rows of a seed may start from one source model (`--init`)
that is trained with that seed. A row whose `load_from` is in the work directory of
another row starts from that row. The results are those of the last checkpoint on the
validation set, never of the best one. When run again, it resumes where it was
interrupted.

The work directory receives results.md, results.csv (one line per run), results.png, and
a folder for every run.
"""

import argparse
import shlex
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from _options import add_cfg_options, add_pair, existing_file, positive


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    option = parser.add_argument
    option("rows", nargs="+", type=existing_file, metavar="ROW_CONFIG", help="one row")
    option(
        "--init",
        type=existing_file,
        metavar="CONFIG",
        help="trained once for each seed; its rows start from the last checkpoint "
        "(default: the rows' own `load_from`)",
    )
    add_pair(parser)
    option("--seeds", nargs="+", type=int, default=[0, 1, 2])
    option("--iters", type=positive, help="iterations of every row")
    option("--init-iters", type=positive, help="iterations of --init")
    option(
        "--jobs",
        type=positive,
        default=1,
        help="number of simultaneous runs; they share the CPU",
    )
    option("--work-dir", type=Path, default=Path("work_dirs/benchmark"))
    option(
        "--lower",
        help="row where the gap begins (default: the one named source-only, or "
        "..._source-only)",
    )
    option(
        "--upper",
        help="row where the gap ends (default: the one named oracle, or ..._oracle)",
    )
    add_cfg_options(parser, "every config")
    args = parser.parse_args(argv)
    if args.init_iters and not args.init:
        parser.error("--init-iters needs --init")
    if len(set(args.seeds)) < len(args.seeds):
        parser.error(f"--seeds has one twice: {args.seeds}")
    return args


def main(argv: Sequence[str] | None = None) -> None:
    """Train, and write the table."""
    args = parse_args(argv)
    from mmpose_da.apis.benchmark import run_benchmark

    # Treat SIGTERM like Ctrl-C, so that the training processes end as well.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        report, succeeded = run_benchmark(
            args.rows,
            args.work_dir,
            command=f"python {shlex.join(sys.argv)}",
            init_path=args.init,
            pair=args.pair,
            seeds=args.seeds,
            iters=args.iters,
            init_iters=args.init_iters,
            jobs=args.jobs,
            lower=args.lower,
            upper=args.upper,
            options=args.cfg_options,
        )
    except KeyboardInterrupt:
        raise SystemExit("interrupted; the same command resumes from here") from None
    except ValueError as error:
        raise SystemExit(f"error: {error}") from None
    print(report)
    if not succeeded:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
