"""What a training needs to be gone on with exactly: its config and its checkpoint."""

from __future__ import annotations

import logging
import zipfile
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.logging import print_log
from mmengine.runner import CheckpointLoader

#: Loops and hooks of MMEngine, and what is taken instead.
EXACT = dict(
    EpochBasedTrainLoop="ExactEpochBasedTrainLoop",
    IterBasedTrainLoop="ExactIterBasedTrainLoop",
    CheckpointHook="SafeCheckpointHook",
)


def make_exact(cfg: Config) -> None:
    """Give a training loops and hooks with which it survives being killed.

    MMEngine's checkpoint hook becomes a :class:`SafeCheckpointHook`, and its loop, if
    the batches are those of a :class:`~mmpose_da.datasets.MixedDomainBatchSampler`, an
    :class:`ExactEpochBasedTrainLoop` or :class:`ExactIterBasedTrainLoop`. What is not
    MMEngine's own stays. The loaders' processes end with the training
    (:func:`end_with_parent`).

    Args:
        cfg (Config): Of a training; changed in place.
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
    """The name of a type, which a config gives as such or as a string."""
    return getattr(type_, "__name__", type_)


def _exact(type_: Any) -> Any:
    return EXACT.get(_name(type_), type_)


def find_checkpoint(work_dir: str | Path) -> str | None:
    """The latest checkpoint from which a training can go on.

    That is the one that ``last_checkpoint`` in the folder names. If it is damaged, a
    warning says so, and the latest of the others is taken. Checkpoints without the
    state of the optimizer, such as the best, don't count.

    Args:
        work_dir (str | Path): The folder of the training. It may have been moved.

    Returns:
        str, optional: The path; None if there is no checkpoint.

    Raises:
        RuntimeError: There are checkpoints, but all of them are damaged.
    """
    folder, latest = Path(work_dir), ""
    pointer = folder / "last_checkpoint"
    if pointer.is_file():
        written = Path(pointer.read_text(encoding="utf-8").strip())
        latest = written.name
        if not (folder / latest).exists():
            folder = written.parent  # the checkpoints have a folder of their own
    paths = sorted(folder.glob("*.pth"), key=_written_at, reverse=True)
    paths.sort(key=lambda path: path.name != latest)

    damaged = []
    for path in paths:
        try:
            _check_sums(path)
            content = CheckpointLoader.load_checkpoint(str(path), "cpu", "silent")
        except Exception as error:  # of many types, for a file may end anywhere
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
    """Compare a checkpoint with its checksums, which PyTorch writes and ignores."""
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            damaged = archive.testzip()
        if damaged is not None:
            raise RuntimeError(f"the checksum of '{damaged}' in it is wrong")


def _written_at(path: Path) -> float:
    return path.stat().st_mtime
