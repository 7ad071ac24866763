"""Train or adapt a pose estimator."""

import argparse
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

from _options import add_run_options, checkpoint, existing_file

if TYPE_CHECKING:
    from mmengine.config import Config


def resume_from(value: str) -> str:
    """Check the value of ``--resume``, for ``argparse``."""
    return value if value == "auto" else checkpoint(value)


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    option = parser.add_argument
    option("config", type=existing_file, help="the config file")
    add_run_options(parser)
    option(
        "--resume",
        nargs="?",
        const="auto",
        type=resume_from,
        metavar="CHECKPOINT",
        help="resume from a checkpoint; without a value, from the latest one in the "
        "work directory",
    )
    option("--amp", action="store_true", help="train with automatic mixed precision")
    option("--no-validate", action="store_true", help="do not validate during training")
    option(
        "--auto-scale-lr",
        action="store_true",
        help="scale the learning rate by the batch size over "
        "`auto_scale_lr.base_batch_size`",
    )
    return parser.parse_args(argv)


def make_config(args: argparse.Namespace) -> "Config":
    """Load the config and apply the options. A ValueError says which does not fit."""
    from mmpose_da import apis

    os.environ.setdefault("LOCAL_RANK", str(args.local_rank))
    cfg = apis.load_config(args.config, args.pair, args.work_dir)
    cfg.launcher = args.launcher
    if args.no_validate:
        apis.disable_validation(cfg)
    apis.check_validation(cfg)
    if args.amp:
        apis.enable_amp(cfg)
    if args.auto_scale_lr:
        apis.enable_auto_scale_lr(cfg)
    if args.show or args.show_dir is not None:
        apis.enable_hook(
            cfg,
            "visualization",
            interval=args.interval,
            show=args.show,
            wait_time=args.wait_time if args.show else None,
            out_dir=args.show_dir,
        )
    apis.merge_options(cfg, args.cfg_options)  # these override all other options
    apis.set_start(cfg, args.resume)
    return cfg


def main() -> None:
    """Train."""
    args = parse_args()
    from mmpose_da import apis

    try:
        cfg = make_config(args)
        apis.check_device(cfg)
    except ValueError as error:
        raise SystemExit(f"train.py: {error}") from error
    apis.train(cfg)


if __name__ == "__main__":
    main()
