"""The report of an adaptation: one HTML file that needs nothing else."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable
from pathlib import Path

from mmengine.registry import init_default_scope

from ..training import ignore_harmless_warnings
from .page import render_page, write_page
from .run import Evidence, Run
from .sections import SECTIONS, build_section, find_warnings

Progress = Callable[[str, int, int], None]


def write_report(
    run: Run, path: str | Path, progress: Progress | None = None
) -> dict[str, list[str]]:
    """Write the report of a run.

    It says what ran, counts the data and what was left out, compares the models before
    and after (scores without labels, people whose predictions changed most, features,
    confidence), and shows the losses. Where there is a labeled validation set, it has
    the errors of each joint, and says that they use labels. A part that cannot be made
    is replaced with the reason.

    Args:
        run (Run): The run; see :func:`~mmpose_da.apis.report.run.run_of_job` and
            :func:`~mmpose_da.apis.report.run.run_of_config`.
        path (str | Path): The HTML file.
        progress (Callable[[str, int, int], None], optional): Called with what is being
            done, the completed, and the total number. Defaults to None.

    Returns:
        dict[str, list[str]]: The ``warnings`` of the report, and the titles of sections
        that are ``missing``.
    """
    init_default_scope(run.cfg.get("default_scope") or "mmpose")
    report = progress or (lambda text, done, total: None)
    evidence = Evidence(run, report)
    sections = []
    with warnings.catch_warnings():
        ignore_harmless_warnings()
        for number, title in enumerate(SECTIONS, 1):
            section = build_section(title, evidence)
            if section.blocks or section.missing:
                sections.append(section)
            report("writing the report", number, len(SECTIONS))
        found = find_warnings(evidence)
    about = run.job or run.checkpoint
    made = time.strftime("%Y-%m-%d %H:%M")
    page = render_page("Adaptation report", f"{about}, {made}", found, sections)
    write_page(page, path)
    return dict(warnings=found, missing=[one.title for one in sections if one.missing])
