"""From a trained model and raw images to an adapted, published model."""

from __future__ import annotations

import os
import shlex
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

from mmengine.device import get_device
from rich.console import Console

from ..machine import cpu_name, device_name, training_threads
from ..report.run import Run
from ..scores import PEOPLE
from ..stages import locked
from ..work_files import Journal, keep_settings
from .job import Job, Work, check_job
from .methods import METHODS
from .plan import (
    describe_plan,
    describe_time,
    detection_time,
    make_plan,
    preview,
)
from .stages import choose_stages


def adapt(
    job: Job,
    work_dir: str | Path,
    *,
    stages: Sequence[str] = (),
    device: str | None = None,
    batch_size: int = 8,
    threads: int | None = None,
    console: Console | None = None,
) -> Path:
    """Run a job, or continue where it was interrupted.

    Every stage has a folder with its input, its files, and ``result.json``. A stage
    that is done is not repeated; to repeat it, delete its folder. The training config
    is ``adapt/input/config.py``, and ``tools/train.py`` repeats it.

    Args:
        job (Job): What to adapt, to what, and how.
        work_dir (str | Path): The directory of this job alone.
        stages (Sequence[str]): Names of the stages to run. Defaults to (): all.
        device (str, optional): ``'cpu'``, ``'cuda'``, or ``'cuda:1'``. Defaults to
            None: a GPU if there is one.
        batch_size (int): Number of images that the detector sees at once. Defaults
            to 8.
        threads (int, optional): CPU threads of the training. Defaults to None: that of
            ``OMP_NUM_THREADS``, or else one per core but one.
        console (Console, optional): Where to report. Defaults to None: standard output.

    Returns:
        Path: The work directory.

    Raises:
        FileNotFoundError: If a file does not exist.
        ValueError: If the job does not fit together, or nobody is found.
        RuntimeError: If the directory has another job or is in use, or a stage failed.
    """
    chosen = choose_stages(stages)
    with _on_device(device) as kind:
        work = Work(
            job,
            Path(work_dir).resolve(),
            console or Console(),
            kind,
            batch_size,
            training_threads() if threads is None else threads,
        )
        check_job(job)
        with locked(work.work_dir):
            keep_settings(asdict(job), work.work_dir / "job.json")
            _record(
                work,
                time=time.strftime("%Y-%m-%d %H:%M:%S"),
                command=shlex.join(sys.argv),
                device=device_name() if kind == "cuda" else cpu_name(),
            )
            for number, stage in enumerate(chosen, 1):
                missing = [name for name in stage.needs if not work.is_done(name)]
                if missing:
                    raise RuntimeError(
                        f"the stage '{stage.name}' needs '{missing[0]}', which is not "
                        f"done in {work.work_dir}; run it first"
                    )
                known = " (done before)" if work.is_done(stage.name) else ""
                work.say(f"[{number}/{len(chosen)}] {stage.name}: {stage.text}{known}")
                begin = time.monotonic()
                text = stage.run(work)
                seconds = time.monotonic() - begin
                if not known:
                    _record(work, stage=stage.name, seconds=seconds)
                first, *rest = text.split("\n")
                if not known:
                    first = f"{first} ({describe_time(seconds)})"
                work.say("\n".join([f"      {first}", *rest]))
    return work.work_dir


def _record(work: Work, **line: str | float) -> None:
    """Add to the history of a work directory, which the report shows."""
    with Journal(work.work_dir / "history.jsonl") as history:
        history.append(line)


def dry_run(
    job: Job,
    work_dir: str | Path,
    *,
    stages: Sequence[str] = (),
    device: str | None = None,
    console: Console | None = None,
) -> None:
    """Say what a job would do, and about how long it would take, and write nothing.

    The time of training is measured by a few steps on the first images, each taken as
    the box of one person unless people have been found before.

    Args:
        job (Job): The job.
        work_dir (str | Path): Its work directory, which is not changed.
        stages (Sequence[str]): As for :func:`adapt`.
        device (str, optional): As for :func:`adapt`.
        console (Console, optional): As for :func:`adapt`.

    Raises:
        FileNotFoundError: If a file does not exist.
        ValueError: If the job does not fit together.
    """
    chosen = choose_stages(stages)
    with _on_device(device) as kind, tempfile.TemporaryDirectory() as temporary:
        work = Work(job, Path(work_dir).resolve(), console or Console(), kind)
        check_job(job)
        times = dict(
            publish="less than a minute",
            score=f"up to {PEOPLE} people, before and after",
            report=f"up to {Run.people} people, before and after",
        )
        if work.is_done("detect"):
            detected, people = work.detected(), work.detected().num_people
            assumed = ""
        else:
            detected, images = preview(job.target, Path(temporary))
            people, assumed = images, " (one in each image is assumed)"
            times["detect"] = detection_time(work, detected, images)
        plan, seconds = make_plan(work, detected, people)
        times["adapt"] = (
            f"{describe_plan(plan)}; about {describe_time(seconds)}, measured by a few "
            "steps"
        )
        start = "source-free" if job.source is None else f"from {job.source.ann_file}"
        work.say(f"model:  {job.model}, {job.source_model.checkpoint}")
        work.say(f"method: {job.method}, {start}; on the {kind.upper()}")
        work.say(f"        {METHODS[job.method].text}")
        work.say(f"target: {job.target.source}, {people} people{assumed}")
        for number, stage in enumerate(chosen, 1):
            expected = "done before" if work.is_done(stage.name) else times[stage.name]
            work.say(f"[{number}/{len(chosen)}] {stage.name}: {stage.text}: {expected}")
        work.say(f"nothing was run; the work would be in {work.work_dir}")


@contextmanager
def _on_device(device: str | None) -> Iterator[str]:
    """Choose the device of this process and of those that it starts.

    Yields:
        str: ``'cuda'`` or ``'cpu'``.

    Raises:
        ValueError: If there is no such device.
    """
    name = "CUDA_VISIBLE_DEVICES"
    before = os.environ.get(name)
    kind, _, index = (device or get_device()).partition(":")
    if kind not in ("cpu", "cuda"):
        raise ValueError(f"device='{device}' is neither cpu, cuda, nor such as cuda:1")
    if kind == "cpu":
        os.environ[name] = ""
    elif index:
        os.environ[name] = index
    try:
        if kind == "cuda" and get_device() != "cuda":
            raise ValueError(f"device='{device}', but PyTorch finds no such GPU")
        yield kind
    finally:
        if before is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = before
