"""Evaluate a pose estimator."""

import argparse
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from _options import add_run_options, checkpoint, existing_file

if TYPE_CHECKING:
    from mmengine.config import Config

PICKLE_SUFFIXES = (".pkl", ".pickle")
METRIC_SUFFIXES = (".json", ".yaml", ".yml", *PICKLE_SUFFIXES)


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    option = parser.add_argument
    option("config", type=existing_file, help="the config file")
    option("checkpoint", type=checkpoint, help="the weights: a file or a URL")
    add_run_options(parser)
    option("--out", help="file for the metrics: .json, .yaml or .pkl")
    option("--dump", help="pickle file for the predictions, to evaluate them later")
    option("--badcase", action="store_true", help="collect the worst predictions")
    args = parser.parse_args(argv)
    for name, suffixes in (("out", METRIC_SUFFIXES), ("dump", PICKLE_SUFFIXES)):
        path = getattr(args, name)
        if path is not None and Path(path).suffix not in suffixes:
            parser.error(f"--{name} must end with one of {suffixes}, got '{path}'")
    return args


def make_config(args: argparse.Namespace) -> "Config":
    """Load the config and apply the options. A ValueError says which does not fit."""
    from mmpose_da import apis

    os.environ.setdefault("LOCAL_RANK", str(args.local_rank))
    cfg = apis.load_config(args.config, args.pair, args.work_dir)
    cfg.launcher = args.launcher
    apis.set_checkpoint(cfg, args.checkpoint)
    drawing = dict(
        interval=args.interval, wait_time=args.wait_time if args.show else None
    )
    # With --badcase, --show displays only the bad cases.
    show = args.show and not args.badcase
    if show or args.show_dir is not None:
        apis.enable_drawing(cfg, show=show, out_dir=args.show_dir, **drawing)
    if args.badcase:
        apis.enable_hook(cfg, "badcase", show=args.show, **drawing)
        apis.choose_badcase_metric(cfg)
    if args.dump is not None:
        apis.dump_predictions(cfg, args.dump)
    apis.merge_options(cfg, args.cfg_options)  # these override all other options
    return cfg


def main() -> None:
    """Test."""
    args = parse_args()
    from mmpose_da import apis

    try:
        cfg = make_config(args)
    except ValueError as error:
        raise SystemExit(f"test.py: {error}") from error
    apis.test(cfg, args.out)


if __name__ == "__main__":
    main()
