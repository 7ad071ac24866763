"""Finding the checkpoint to resume from."""

from __future__ import annotations

import logging
import zipfile
from pathlib import Path

from mmengine.logging import print_log
from mmengine.runner import CheckpointLoader


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
            damaged.append(f"{path} cannot be read: {error}")
            continue
        if "optimizer" in content:
            for line in damaged:
                print_log(line, "current", logging.WARNING)
            if damaged:
                print_log(f"resuming from {path}", "current", logging.WARNING)
            return str(path)
    if damaged:
        raise RuntimeError(
            "\n".join(damaged) + f"\nthere is no other checkpoint in {folder} to "
            "resume from; move these away to start from scratch"
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
