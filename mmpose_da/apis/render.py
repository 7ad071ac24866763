"""Rendering the embedded domains, with progress bars."""

from __future__ import annotations

import json
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

from ..rendering import CROWD, STREET, STUDIO, is_written, level_shares, write_domain

#: Each domain with its annotation format and the default number of images of each
#: split.
EMBEDDED_PAIR = (
    (STUDIO, "coco", dict(train=3000)),
    (STREET, "mpii", dict(train=3000, val=800)),
)
#: The same for several people in an image, who are not part of the pair.
EMBEDDED_CROWD = (CROWD, "crowdpose", dict(train=1500, val=400))


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
    """Render the embedded domains that do not exist yet.

    Args:
        folder (str | Path): Receives a folder for each domain.
        bars (Progress): Where to show progress; see :func:`progress_bars`.
        counts (Mapping[str, Mapping[str, int]], optional): Number of images of each
            split of each domain; a domain without any is skipped. Defaults to None:
            those of :data:`EMBEDDED_PAIR`, and no crowd.
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
    if counts is None:
        counts = {domain.name: splits for domain, _, splits in EMBEDDED_PAIR}
    for domain, format, _ in (*EMBEDDED_PAIR, EMBEDDED_CROWD):
        splits = dict(counts.get(domain.name, {}))
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
        for split in splits if domain.crowd else ():
            bars.console.print(_levels(path, split), highlight=False)


def _levels(folder: Path, split: str) -> str:
    """Describe how many images of a split are at each level of the crowd index."""
    path = folder / f"annotations/crowdpose_{split}.json"
    images = json.loads(path.read_text(encoding="utf-8"))["images"]
    shares = level_shares([image["crowdIndex"] for image in images])
    text = ", ".join(f"{100 * share:.0f} % {level}" for level, share in shares.items())
    return f"crowd index in {split}: {text}"
