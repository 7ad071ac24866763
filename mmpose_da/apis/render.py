"""Rendering the embedded pair of domains, with progress bars."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from functools import partial
from pathlib import Path

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
)

from ..rendering import STREET, STUDIO, is_written, write_domain

#: Each domain with its annotation format and the default number of images of each
#: split.
EMBEDDED_PAIR = (
    (STUDIO, "coco", dict(train=3000)),
    (STREET, "mpii", dict(train=3000, val=800)),
)


def progress_bars(console: Console | None = None) -> Progress:
    """Create bars with a text, a count, and the remaining (finally, elapsed) time."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(elapsed_when_finished=True),
        console=console,
    )


def render_pair(
    folder: str | Path,
    bars: Progress,
    counts: Mapping[str, Mapping[str, int]] | None = None,
    seed: int = 0,
    size: int = 160,
    workers: int | None = None,
    overwrite: bool = False,
    keep: bool = False,
) -> None:
    """Render the domains of the embedded pair that do not exist yet.

    Args:
        folder (str | Path): Receives a folder for each domain.
        bars (Progress): Where to show progress; see :func:`progress_bars`.
        counts (Mapping[str, Mapping[str, int]], optional): Number of images of each
            split of each domain; a domain without any is skipped. Defaults to None:
            those of :data:`EMBEDDED_PAIR`.
        seed (int): Random seed of the people. Defaults to 0.
        size (int): Side of an image in pixels. Defaults to 160.
        workers (int, optional): Number of processes; 0 renders in this one. Defaults to
            None: one per CPU.
        overwrite (bool): Replace a set that was made with other settings. Defaults to
            False.
        keep (bool): Keep a set whatever its settings. Defaults to False.

    Raises:
        FileExistsError: If a folder holds another set, or one of another version of the
            renderer, and is not to be overwritten.
    """
    for domain, format, default in EMBEDDED_PAIR:
        splits = dict(default if counts is None else counts.get(domain.name, {}))
        path, total = Path(folder, domain.name), sum(splits.values())
        if not total:
            continue
        if keep and is_written(path):
            bars.console.print(f"using the images in {path}")
            continue
        text = f"rendering the {domain.name}"
        bar = bars.add_task(text, total=total, visible=False)
        start = time.perf_counter()
        written = write_domain(
            path,
            domain,
            splits,
            seed=seed,
            size=size,
            format=format,
            workers=(os.cpu_count() or 1) if workers is None else workers,
            overwrite=overwrite,
            progress=partial(bars.update, bar, advance=1, visible=True),
        )
        each = 1000 * (time.perf_counter() - start) / total
        done = f"images, {each:.1f} ms each" if written else "images are already there"
        bars.console.print(f"{path}: {total} {done}", soft_wrap=True, highlight=False)
