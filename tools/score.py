"""Score a checkpoint on images without labels, as at every validation of a run."""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

from _options import add_pair, existing_file


def main(argv: Sequence[str] | None = None) -> None:
    """Score, and print the scores as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    option = parser.add_argument
    option("config", type=existing_file, help="config of the run")
    option("checkpoint", type=existing_file, help="its checkpoint")
    option(
        "--network",
        choices=("student", "teacher"),
        help="which one to score (default: the one that the config deploys); student "
        "for a checkpoint that the run starts from",
    )
    add_pair(parser)
    option("--work-dir", type=Path, default=Path("work_dirs/score"), help="for the log")
    args = parser.parse_args(argv)
    import mmpose_da  # noqa: F401 - registers
    from mmpose_da import apis
    from mmpose_da.apis.scores import PREFIX, score

    try:
        cfg = apis.load_config(args.config, args.pair)
        found = score(cfg, args.checkpoint, args.work_dir, args.network)
    except (OSError, ValueError) as error:
        parser.exit(1, f"score.py: {error}\n")
    scores = {k.removeprefix(PREFIX): v for k, v in found.items() if PREFIX in k}
    print(json.dumps(scores, indent=1))


if __name__ == "__main__":
    main()
