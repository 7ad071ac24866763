"""Utilities for exact resume."""

from __future__ import annotations

import logging
import zipfile
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.logging import print_log
from mmengine.runner import CheckpointLoader

#: MMEngine's loops and hooks, and their replacements.
EXACT = dict(
    EpochBasedTrainLoop="ExactEpochBasedTrainLoop",
    IterBasedTrainLoop="ExactIterBasedTrainLoop",
    CheckpointHook="SafeCheckpointHook",
)


def make_exact(cfg: Config) -> None:
    """Replace MMEngine's loop and checkpoint hook with ones that resume exactly.

    The checkpoint hook becomes a :class:`SafeCheckpointHook`. If the batches come from
    a :class:`~mmpose_da.datasets.MixedDomainBatchSampler`, the loop becomes an
    :class:`ExactEpochBasedTrainLoop` or :class:`ExactIterBasedTrainLoop`. Types that
    are not MMEngine's own are left unchanged. Data loader workers end with the training
    process (:func:`end_with_parent`).

    Args:
        cfg (Config): Config of a training run. Modified in place.
    """
    hooks = cfg.setdefault("default_hooks", {})
    hooks.setdefault("checkpoint", dict(type="CheckpointHook", interval=1))
    if hooks["checkpoint"] is not None:
        hooks["checkpoint"]["type"] = _exact(hooks["checkpoint"]["type"])

    for name in ("train_dataloader", "val_dataloader"):
        if cfg.get(name):
            cfg[name].setdefault("worker_init_fn", dict(type="end_with_parent"))

    batch_sampler = (cfg.get("train_dataloader") or {}).get("batch_sampler") or {}
    if _name(batch_sampler.get("type")) == "MixedDomainBatchSampler":
        loop = cfg.train_cfg
        if "by_epoch" in loop:
            by_epoch = loop.pop("by_epoch")
            loop.type = "EpochBasedTrainLoop" if by_epoch else "IterBasedTrainLoop"
        loop.type = _exact(loop.type)


def _name(type_: Any) -> str | None:
    """Return the name of a type that a config gives as a class or a string."""
    return getattr(type_, "__name__", type_)


def _exact(type_: Any) -> Any:
    return EXACT.get(_name(type_), type_)


def find_checkpoint(work_dir: str | Path) -> str | None:
    """Find the latest checkpoint from which training can be resumed.

    The checkpoint named in ``last_checkpoint`` comes first. If it is damaged, a warning
    is logged and the latest of the others is used. Checkpoints without optimizer state,
    such as the best one, are skipped.

    Args:
        work_dir (str | Path): Work directory of the run. It may have been moved.

    Returns:
        str, optional: Path of the checkpoint, or None if there is none.

    Raises:
        RuntimeError: If there are checkpoints, but all of them are damaged.
    """
    folder, latest = Path(work_dir), ""
    pointer = folder / "last_checkpoint"
    if pointer.is_file():
        written = Path(pointer.read_text(encoding="utf-8").strip())
        latest = written.name
        if not (folder / latest).exists():
            folder = written.parent  # the checkpoints are in a directory of their own
    paths = sorted(folder.glob("*.pth"), key=_written_at, reverse=True)
    paths.sort(key=lambda path: path.name != latest)

    damaged = []
    for path in paths:
        try:
            _check_sums(path)
            content = CheckpointLoader.load_checkpoint(str(path), "cpu", "silent")
        except Exception as error:  # of any type: a file may be truncated anywhere
            damaged.append(f"{path} can't be read: {error}")
            continue
        if "optimizer" in content:
            for line in damaged:
                print_log(line, "current", logging.WARNING)
            if damaged:
                print_log(f"going on from {path}", "current", logging.WARNING)
            return str(path)
    if damaged:
        raise RuntimeError(
            "\n".join(damaged) + f"\nthere is no other checkpoint in {folder} to go on "
            "from; move these away to start anew"
        )
    return None


def _check_sums(path: Path) -> None:
    """Verify the checksums of a checkpoint, which PyTorch writes but ignores."""
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            damaged = archive.testzip()
        if damaged is not None:
            raise RuntimeError(f"the checksum of '{damaged}' in it is wrong")


def _written_at(path: Path) -> float:
    return path.stat().st_mtime
