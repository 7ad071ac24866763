"""Train or adapt a pose estimator."""

import argparse
from collections.abc import Sequence
from typing import Any

from _cli import apply_cfg_options, checkpoint, enable_hook, load_config, make_parser
from mmengine.config import Config
from mmengine.device import get_device
from mmengine.optim import AmpOptimWrapper, OptimWrapper
from mmengine.runner import Runner

from mmpose_da.compat.distributed import init_dist_on_cpu
from mmpose_da.engine import find_checkpoint, make_exact


def resume_from(value: str) -> str:
    """Check the value of ``--resume``, for ``argparse``."""
    return value if value == "auto" else checkpoint(value)


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = make_parser("Train or adapt a pose estimator")
    parser.add_argument(
        "--resume",
        nargs="?",
        const="auto",
        type=resume_from,
        metavar="CHECKPOINT",
        help="go on from a checkpoint; without a value, from the latest of the work "
        "directory",
    )
    parser.add_argument(
        "--amp", action="store_true", help="train with automatic mixed precision"
    )
    parser.add_argument(
        "--no-validate", action="store_true", help="do not evaluate while training"
    )
    parser.add_argument(
        "--auto-scale-lr",
        action="store_true",
        help="scale the learning rate by the batch size over "
        "`auto_scale_lr.base_batch_size`",
    )
    return parser.parse_args(argv)


def make_config(args: argparse.Namespace) -> Config:
    """Load the config and merge the options into it.

    Args:
        args (argparse.Namespace): Options of :func:`parse_args`.

    Returns:
        Config: The config for the runner.

    Raises:
        ValueError: If an option does not fit the config.
    """
    cfg = load_config(args)

    if args.no_validate:
        cfg.val_cfg = cfg.val_dataloader = cfg.val_evaluator = None

    if cfg.get("target") and not cfg.get("target_val") and cfg.get("val_dataloader"):
        raise ValueError(
            f"{args.config} has a `target`, but no `target_val`: its val_dataloader is "
            "that of the config that it extends, and says nothing of the target; give "
            "a `target_val`, or --no-validate"
        )

    if args.amp:
        wrapper = cfg.optim_wrapper.get("type", OptimWrapper)
        if wrapper not in (
            OptimWrapper,
            AmpOptimWrapper,
            "OptimWrapper",
            "AmpOptimWrapper",
        ):
            raise ValueError(
                f"--amp does not go with `optim_wrapper.type` {wrapper!r}, only with "
                "'OptimWrapper'"
            )
        cfg.optim_wrapper.type = "AmpOptimWrapper"
        cfg.optim_wrapper.setdefault("loss_scale", "dynamic")

    if args.auto_scale_lr:
        if not cfg.get("auto_scale_lr"):
            raise ValueError(
                "--auto-scale-lr needs `auto_scale_lr = dict(base_batch_size=...)` in "
                "the config"
            )
        cfg.auto_scale_lr.enable = True

    if args.show or args.show_dir is not None:
        enable_hook(cfg, "visualization", args, show=args.show, out_dir=args.show_dir)

    hooks = cfg.setdefault("default_hooks", {})
    hooks.setdefault("non_finite", dict(type="NonFiniteHook"))
    hooks.setdefault("checkpoint_match", dict(type="CheckpointMatchHook"))
    apply_cfg_options(cfg, args)
    make_exact(cfg)
    if args.resume is not None:
        resume(cfg, args.resume)
    if cfg.get("from_scratch", False):
        start_from_scratch(cfg)
    return cfg


def resume(cfg: Config, checkpoint: str) -> None:
    """Resume from a checkpoint; ``'auto'`` is the latest in the work directory.

    If there is none yet, training starts, from ``load_from`` if it is set.

    Args:
        cfg (Config): The config, modified in place.
        checkpoint (str): ``'auto'`` or a path.
    """
    latest = find_checkpoint(cfg.work_dir) if checkpoint == "auto" else checkpoint
    cfg.resume = latest is not None
    if cfg.resume:
        cfg.load_from = latest


def start_from_scratch(cfg: Config) -> None:
    """Remove what would load pretrained weights, for machines without network access.

    This applies to ``load_from``, unless it is the checkpoint to resume from, and to
    every ``init_cfg`` of type ``Pretrained`` in the model.

    Args:
        cfg (Config): The config, modified in place.
    """
    if not cfg.get("resume", False):
        cfg.load_from = None
    _drop_pretrained(cfg.model)


def _is_pretrained(init_cfg: Any) -> bool:
    kind = init_cfg.get("type") if isinstance(init_cfg, dict) else None
    return getattr(kind, "__name__", kind) in ("Pretrained", "PretrainedInit")


def _drop_pretrained(node: Any) -> None:
    if isinstance(node, dict):
        init_cfg = node.get("init_cfg")
        if _is_pretrained(init_cfg):
            del node["init_cfg"]
        elif isinstance(init_cfg, (list, tuple)):
            node["init_cfg"] = [c for c in init_cfg if not _is_pretrained(c)]
        node = list(node.values())
    if isinstance(node, (list, tuple)):
        for child in node:
            _drop_pretrained(child)


def main() -> None:
    """Train."""
    args = parse_args()
    if args.amp and get_device() in ("cpu", "mps"):
        raise SystemExit(
            "--amp needs a GPU, and PyTorch finds none here: leave --amp out to train "
            "in float32, or check the driver and that PyTorch was built for the GPU"
        )
    try:
        cfg = make_config(args)
    except ValueError as error:
        raise SystemExit(f"train.py: {error}") from error
    init_dist_on_cpu(cfg)
    Runner.from_cfg(cfg).train()


if __name__ == "__main__":
    main()
