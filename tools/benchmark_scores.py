"""Measure how well scores without labels choose among the models of benchmarks."""

import argparse
import math
from collections.abc import Sequence
from pathlib import Path


def main(argv: Sequence[str] | None = None) -> None:
    """Score all checkpoints of finished benchmarks, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    option = parser.add_argument
    option(
        "work_dirs",
        nargs="+",
        type=Path,
        metavar="WORK_DIR",
        help="--work-dir of tools/benchmark.py; several are compared seed by seed",
    )
    option("--metric", required=True, help="such as 'PCKh@0.5 (12 joints)'")
    option(
        "--start",
        required=True,
        metavar="ROW",
        help="name of the config of the model that adaptation should not make worse",
    )
    option("--rows", nargs="+", metavar="ROW", help="only these configs (default: all)")
    args = parser.parse_args(argv)
    import mmpose_da  # noqa: F401 - registers
    from mmpose_da.apis.scores import score_benchmark, score_quality

    lines = []
    try:
        for folder in args.work_dirs:
            for line in score_benchmark(folder, args.metric, folder / "scores.csv"):
                if args.rows is None or line["row"] in args.rows:
                    lines.append(line)
        qualities = score_quality(lines, args.metric, args.start)
    except (OSError, ValueError) as error:
        parser.exit(1, f"benchmark_scores.py: {error}\n")
    print(f"\n{len(lines)} checkpoints, {args.metric}\n")
    print("| score | rank correlation | regret | harm found | false alarms |")
    print("| --- | ---: | ---: | ---: | ---: |")
    for quality in qualities:
        print(
            f"| {quality.name} | {quality.correlation:.2f} | {quality.regret:.1f} | "
            f"{_percent(quality.found_harm)} | {_percent(quality.false_alarms)} |"
        )


def _percent(share: float) -> str:
    return "" if math.isnan(share) else f"{share:.0%}"


if __name__ == "__main__":
    main()
