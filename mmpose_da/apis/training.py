"""Training a config, and the changes that the options of ``tools/train.py`` make."""

from __future__ import annotations

import warnings
from typing import Any

from mmengine.config import Config
from mmengine.device import get_device
from mmengine.optim import AmpOptimWrapper, OptimWrapper
from mmengine.runner import Runner
from mmpose.registry import RUNNERS

from ..compat.distributed import init_dist_on_cpu
from ..engine import find_checkpoint

#: The optimizer wrapper for mixed precision, as configs may name it.
AMP = ("AmpOptimWrapper", AmpOptimWrapper)

#: How MMPose's warnings start that appear in every run and call for no action.
HARMLESS_WARNINGS = ("The metainfo config file", 'Use the existing "bbox_center"')


def train(cfg: Config) -> Runner:
    """Train a config to its end.

    Args:
        cfg (Config): The config. ``launcher`` says what started the processes of a
            distributed run, which may use CPUs only.

    Returns:
        Runner: The Runner after training.
    """
    runner = build_runner(cfg)
    runner.train()
    return runner


def build_runner(cfg: Config) -> Runner:
    """Build the Runner of a config, of the type that its ``runner_type`` names."""
    ignore_harmless_warnings()
    init_dist_on_cpu(cfg)
    return RUNNERS.build(cfg)


def ignore_harmless_warnings() -> None:
    """Ignore :data:`HARMLESS_WARNINGS` from here on."""
    for message in HARMLESS_WARNINGS:
        warnings.filterwarnings("ignore", message, UserWarning)


def check_validation(cfg: Config) -> None:
    """Check that a config with a target domain is validated on it.

    Raises:
        ValueError: If there is a ``target`` but no ``target_val``, so that the
            validation set is still that of the config that this one extends.
    """
    if cfg.get("target") and not cfg.get("target_val") and cfg.get("val_dataloader"):
        raise ValueError(
            f"{cfg.filename} has a `target`, but no `target_val`: its val_dataloader "
            "is that of the config that it extends, and says nothing about the target; "
            "add a `target_val`, or use --no-validate"
        )


def disable_validation(cfg: Config) -> None:
    """Train without validation."""
    cfg.val_cfg = cfg.val_dataloader = cfg.val_evaluator = None


def enable_amp(cfg: Config) -> None:
    """Train with automatic mixed precision.

    Raises:
        ValueError: If the optimizer wrapper is of another kind.
    """
    wrapper = cfg.optim_wrapper.get("type", OptimWrapper)
    if wrapper not in (OptimWrapper, "OptimWrapper", *AMP):
        raise ValueError(
            f"--amp does not support `optim_wrapper.type` {wrapper!r}, only "
            "'OptimWrapper'"
        )
    cfg.optim_wrapper.type = "AmpOptimWrapper"
    cfg.optim_wrapper.setdefault("loss_scale", "dynamic")


def check_device(cfg: Config) -> None:
    """Check that there is a GPU if the config asks for mixed precision.

    Raises:
        ValueError: If there is none.
    """
    if cfg.optim_wrapper.get("type") in AMP and get_device() in ("cpu", "mps"):
        raise ValueError(
            "mixed precision (--amp) needs a GPU, but PyTorch finds none: train in "
            "float32, or check the driver and that this PyTorch was built for the GPU"
        )


def enable_auto_scale_lr(cfg: Config) -> None:
    """Scale the learning rate by the batch size.

    Raises:
        ValueError: If the config does not say for which batch size the rate is meant.
    """
    if not cfg.get("auto_scale_lr"):
        raise ValueError(
            "--auto-scale-lr needs `auto_scale_lr = dict(base_batch_size=...)` in the "
            "config"
        )
    cfg.auto_scale_lr.enable = True


def resume(cfg: Config, checkpoint: str = "auto") -> None:
    """Resume from a checkpoint; ``'auto'`` is the latest one in the work directory.

    If there is none yet, training starts, from ``load_from`` if it is set.

    Args:
        cfg (Config): The config, modified in place.
        checkpoint (str): ``'auto'`` or a path. Defaults to ``'auto'``.
    """
    latest = find_checkpoint(cfg.work_dir) if checkpoint == "auto" else checkpoint
    cfg.resume = latest is not None
    if cfg.resume:
        cfg.load_from = latest


def set_start(cfg: Config, checkpoint: str | None = None) -> None:
    """Set where a run starts: from a checkpoint, from ``load_from``, or from scratch.

    Args:
        cfg (Config): The config, modified in place. With ``from_scratch=True``, nothing
            pretrained is loaded; see :func:`start_from_scratch`.
        checkpoint (str, optional): What to resume from; see :func:`resume`. Defaults to
            None: a new run.
    """
    if checkpoint is not None:
        resume(cfg, checkpoint)
    if cfg.get("from_scratch", False):
        start_from_scratch(cfg)


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
