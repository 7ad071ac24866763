"""A job of adaptation: what is asked for, and where its stages work."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from mmengine.config import Config
from rich.console import Console
from rich.progress import TaskID

from ..detect.run import Detected, Detection, read_detected
from ..onnx_export import check_onnx
from ..quiet import quiet
from ..render import progress_bars
from .config import (
    LEARNING_RATE,
    Plan,
    Source,
    count_people,
    target_dataset,
    training_config,
)
from .methods import method_of
from .model import SourceModel, check_weights, load_model

#: Seconds by the unit of a budget of time.
UNITS = dict(s=1, sec=1, m=60, min=60, h=3600)


@dataclass(frozen=True)
class Job:
    """What to adapt, to what, and how.

    Attributes:
        model (str): A config file, a config of a package (``'mmpose::...'``), or the
            name of a model of MMPose.
        target (Detection): The images of the new site, and how people are found there.
        checkpoint (str, optional): The weights. Defaults to None: those that MMPose
            publishes for the name.
        source (Source, optional): Labeled source images. Defaults to None: source-free.
        method (str): See :data:`~mmpose_da.apis.adapt.methods.METHODS`. Defaults to
            ``'best'``.
        budget (str, optional): Iterations (``'2000'``) or time (``'30min'``, ``'2h'``)
            of the training. Defaults to None: by the amount of data and the device.
        batch_size (int, optional): Images of each domain in a batch. Defaults to None:
            32 on a GPU, 8 on a CPU.
        learning_rate (float): The learning rate. Defaults to 1e-4.
        network (str, optional): The network to publish, ``'student'`` or
            ``'teacher'``. Defaults to None: the teacher, if there is one.
        seed (int): The random seed. Defaults to 0.
        workers (int, optional): Processes that load images. Defaults to None: one per
            core but one, at most 4.
        onnx (bool): Whether to publish an ONNX file, too. Defaults to False.

    Raises:
        ValueError: If the method or the budget is not available.
    """

    model: str
    target: Detection
    checkpoint: str | None = None
    source: Source | None = None
    method: str = "best"
    budget: str | None = None
    batch_size: int | None = None
    learning_rate: float = LEARNING_RATE
    network: str | None = None
    seed: int = 0
    workers: int | None = None
    onnx: bool = False

    def __post_init__(self) -> None:
        method_of(self.method, self.source is not None)
        parse_budget(self.budget)
        if self.network not in (None, "student", "teacher"):
            raise ValueError(f"network must be student or teacher, not {self.network}")
        if not self.learning_rate > 0:
            raise ValueError(f"learning_rate must be above 0, not {self.learning_rate}")

    @cached_property
    def source_model(self) -> SourceModel:
        """The model that is adapted."""
        return load_model(self.model, self.checkpoint)

    @cached_property
    def source_dataset(self) -> dict | None:
        """The dataset config of the source."""
        if self.source is None:
            return None
        return self.source.dataset(self.source_model.joints)


def parse_budget(budget: str | None) -> tuple[int | None, float | None]:
    """Parse a budget.

    Args:
        budget (str, optional): Such as ``'2000'``, ``'90s'``, ``'30min'``, or ``'2h'``.

    Returns:
        tuple[int | None, float | None]: The iterations or the seconds; both None
        without a budget.

    Raises:
        ValueError: If it has another form, or is 0.
    """
    if budget is None:
        return None, None
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([a-z]*)", str(budget).strip())
    number, unit = match.groups() if match else ("0", "")
    if float(number) > 0 and unit in UNITS:
        return None, float(number) * UNITS[unit]
    if float(number) > 0 and not unit and number.isdecimal():
        return int(number), None
    raise ValueError(
        f"budget='{budget}' is neither a number of iterations, such as 2000, nor a "
        "time, such as 90s, 30min, or 2h"
    )


@dataclass
class Work:
    """A job in its work directory, as its stages see it.

    Attributes:
        job (Job): The job.
        work_dir (Path): The work directory. Each stage has the folder of its name.
        console (Console): Where to report.
        device (str): ``'cuda'`` or ``'cpu'``.
        batch_size (int): Images in a batch of the detector.
        threads (int, optional): CPU threads of the training.
    """

    job: Job
    work_dir: Path
    console: Console
    device: str
    batch_size: int = 8
    threads: int | None = None

    def say(self, text: str) -> None:
        """Print a line."""
        self.console.print(text, highlight=False, soft_wrap=True)

    def folder(self, stage: str) -> Path:
        """Return the folder of a stage."""
        return self.work_dir / stage

    def is_done(self, stage: str) -> bool:
        """Return whether a stage has a result."""
        return (self.folder(stage) / "result.json").is_file()

    def detected(self) -> Detected:
        """Return the result of the stage ``detect``."""
        return read_detected(self.folder("detect"))

    @contextmanager
    def bars(self, stage: str) -> Iterator[Callable[[str, int, int], None]]:
        """Show the progress of a stage with the time left, unless it is done.

        Yields:
            Callable[[str, int, int], None]: To be called with what is being done, the
            completed, and the total number.
        """
        if self.is_done(stage):
            yield lambda text, done, total: None
            return
        with progress_bars(self.console) as bars:
            tasks: dict[str, TaskID] = {}

            def report(text: str, done: int, total: int) -> None:
                if text not in tasks:
                    tasks[text] = bars.add_task(text)
                bars.update(tasks[text], completed=done, total=total)

            yield report

    def config(self, detected: Detected, plan: Plan) -> Config:
        """Return the training config for the people that were found."""
        joints = self.job.source_model.joints
        with quiet():
            return training_config(
                self.job.source_model,
                target_dataset(detected.ann_file, detected.images, joints),
                self.job.source_dataset,
                self.job.method,
                plan,
                self.job.network,
                self.job.seed,
            )


def check_job(job: Job) -> None:
    """Check what can be checked before hours of work.

    Raises:
        FileNotFoundError: If a file does not exist.
        ValueError: If the model, its weights, the method, or the source do not fit.
    """
    if job.onnx:
        check_onnx()
    with quiet(logging.INFO):
        model = job.source_model
    with quiet():
        check_weights(model)
        nobody = target_dataset("people.json", "images", model.joints)
        trial = Plan(1000, 2, 2, job.learning_rate, 0)
        source = job.source_dataset
        training_config(model, nobody, source, job.method, trial, job.network)
        if source is not None:
            count_people(model.joints, "source", source)
