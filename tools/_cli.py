"""Options and config loading shared by train.py and test.py."""

# Import this first: it registers MMPose-DA and makes MMPose importable without compiled
# MMCV.
import mmpose_da  # noqa: F401, I001

import argparse
import os
from pathlib import Path
from typing import Any

from mmengine.config import Config, DictAction

from mmpose_da.apis import merge_options, with_pair


def existing_file(value: str) -> str:
    """Check that a path is a file, for ``argparse``."""
    if not Path(value).is_file():
        raise argparse.ArgumentTypeError(f"there is no file '{value}'")
    return value


def checkpoint(value: str) -> str:
    """Check that a checkpoint is a file, or a location such as ``https://...``."""
    return value if "://" in value else existing_file(value)


def make_parser(description: str) -> argparse.ArgumentParser:
    """Create a parser with the options shared by training and testing."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("config", type=existing_file, help="the config file")
    parser.add_argument(
        "--pair",
        type=existing_file,
        metavar="CONFIG",
        help="use this pair of domains in place of the config's own: a file like those "
        "of configs/_base_/domains",
    )
    parser.add_argument(
        "--work-dir",
        help="folder for logs, checkpoints and results (default: `work_dir` of the "
        "config, else work_dirs/NAME_OF_CONFIG, with --pair "
        "work_dirs/NAME_OF_PAIR/NAME_OF_CONFIG)",
    )
    parser.add_argument("--show-dir", help="folder in which to save drawn predictions")
    parser.add_argument(
        "--show", action="store_true", help="show predictions in a window"
    )
    parser.add_argument(
        "--interval", type=int, default=1, help="draw one of so many batches"
    )
    parser.add_argument(
        "--wait-time", type=float, default=1, help="seconds that a window is shown"
    )
    parser.add_argument(
        "--cfg-options",
        nargs="+",
        action=DictAction,
        default={},
        metavar="KEY=VALUE",
        help="change entries of the config, for example model.backbone.depth=18; a "
        'list is key="[a,b]" or key=a,b, without blanks',
    )
    parser.add_argument(
        "--launcher",
        choices=["none", "pytorch", "slurm", "mpi"],
        default="none",
        help="what starts the processes of a distributed run",
    )
    # `torch.distributed.launch` passes it; everything else sets LOCAL_RANK.
    parser.add_argument("--local_rank", "--local-rank", type=int, default=0)
    return parser


def load_config(args: argparse.Namespace) -> Config:
    """Load the config file, and set the launcher and the work directory.

    Args:
        args (argparse.Namespace): Options of :func:`make_parser`.

    Returns:
        Config: The config, still without ``--cfg-options``. They come last, with
        :func:`apply_cfg_options`, and override every other option.
    """
    os.environ.setdefault("LOCAL_RANK", str(args.local_rank))
    cfg = Config.fromfile(args.config)
    names = [Path(path).stem for path in (args.pair, args.config) if path]
    if args.pair is not None:
        cfg = with_pair(cfg, Config.fromfile(args.pair))
        own = str(cfg.get("load_from") or "")
        if own.startswith("work_dirs/"):  # from another run with this pair
            cfg.load_from = own.replace("work_dirs", f"work_dirs/{names[0]}", 1)
    cfg.launcher = args.launcher
    if args.work_dir is not None:
        cfg.work_dir = args.work_dir
    elif cfg.get("work_dir") is None:
        cfg.work_dir = str(Path("work_dirs").joinpath(*names))
    return cfg


def apply_cfg_options(cfg: Config, args: argparse.Namespace) -> None:
    """Merge ``--cfg-options`` into the config, and settle what depends on them."""
    merge_options(cfg, args.cfg_options)
    if "preprocess_cfg" in cfg:  # its name in some MMPose configs
        cfg.model.setdefault("data_preprocessor", cfg.preprocess_cfg)


def enable_hook(
    cfg: Config, name: str, args: argparse.Namespace, **settings: Any
) -> None:
    """Enable a drawing hook of ``default_hooks``.

    Args:
        cfg (Config): The config, modified in place.
        name (str): Key of the hook in ``default_hooks``.
        args (argparse.Namespace): Options of :func:`make_parser`.
        settings (Any): Further settings of the hook.

    Raises:
        ValueError: If the config does not have this hook.
    """
    if not cfg.get("default_hooks", {}).get(name):
        raise ValueError(
            f"the config has no hook `default_hooks.{name}`, which the option needs; "
            "inherit from a default_runtime.py that has one"
        )
    hook = cfg.default_hooks[name]
    hook.update(enable=True, interval=args.interval, **settings)
    if args.show:
        hook.wait_time = args.wait_time
