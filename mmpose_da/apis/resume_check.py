"""Killing a run at random moments, resuming it, and comparing it with one run through.

The run is killed (SIGKILL) during startup, in an iteration, in a save, or in a
validation, and resumed, several times per run. Its outcome must match that of the
uninterrupted run bit for bit: weights, teacher, optimizer, schedulers, loss history,
metrics, log, and remaining files.
"""

from __future__ import annotations

import multiprocessing
import os
import random
import shutil
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, MutableSequence, Sequence
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.logging import HistoryBuffer
from mmengine.runner import CheckpointLoader

from ..engine import find_checkpoint
from .config import load_config, merge_options
from .stages import scalars
from .training import build_runner, set_start

PHASES = ("start", "iteration", "save", "validation")
#: Values that differ between any two runs.
CLOCKS = ("time", "data_time", "memory")


class PhaseHook(Hook):
    """Tells another process what a training run is doing.

    Args:
        entered (Array): How often each of :data:`PHASES` was entered, followed by the
            index of the current one.
        seconds (Array): The total duration of each.
    """

    priority = "VERY_HIGH"

    def __init__(
        self, entered: MutableSequence[int], seconds: MutableSequence[float]
    ) -> None:
        self.entered, self.seconds = entered, seconds
        self.since = time.perf_counter()
        self.enter("start")

    def enter(self, phase: str) -> None:
        now = time.perf_counter()
        self.seconds[self.entered[-1]] += now - self.since
        self.since = now
        self.entered[PHASES.index(phase)] += 1
        self.entered[-1] = PHASES.index(phase)

    def before_train_iter(self, *args: Any, **kwargs: Any) -> None:
        self.enter("iteration")

    def before_save_checkpoint(self, *args: Any, **kwargs: Any) -> None:
        self.enter("save")

    def before_val(self, *args: Any, **kwargs: Any) -> None:
        self.enter("validation")


def make_config(path: str, work_dir: Path, options: dict) -> Config:
    """Load a config with a seed, to train or resume in a work directory."""
    cfg = load_config(path, work_dir=str(work_dir))
    merge_options(cfg, options)
    if cfg.get("randomness", {}).get("seed") is None:
        cfg.randomness = dict(cfg.get("randomness", {}), seed=0)  # the same for all
    set_start(cfg, "auto")
    return cfg


def run_training(
    path: str,
    work_dir: Path,
    options: dict,
    threads: int,
    entered: MutableSequence[int],
    seconds: MutableSequence[float],
) -> None:
    """Train in this process, with its output in ``train.log``."""
    with open(work_dir / "train.log", "a") as file:
        for stream in (sys.stdout, sys.stderr):
            os.dup2(file.fileno(), stream.fileno())
    torch.set_num_threads(threads)
    hook = PhaseHook(entered, seconds)
    runner = build_runner(make_config(path, work_dir, options))
    runner.register_hook(hook)
    runner.train()


class KilledRuns:
    """Starts and kills runs of a config.

    Args:
        path (str): The config file.
        options (dict): Options to merge into it.
        rng (random.Random): Chooses the moments.
        threads (int): CPU threads of a run. Defaults to 1.
    """

    def __init__(
        self, path: str, options: dict, rng: random.Random, threads: int = 1
    ) -> None:
        self.path, self.options, self.rng, self.threads = path, options, rng, threads
        # Fork from a server that has imported everything but computed nothing.
        self.context = multiprocessing.get_context("forkserver")
        self.context.set_forkserver_preload([__name__])
        self.seconds: list[float] = []  # per phase, once a run has completed

    def attempt(self, work_dir: Path, kill: bool) -> str | None:
        """Train or resume; return the phase in which it was killed, or None."""
        entered = self.context.Array("l", len(PHASES) + 1, lock=False)
        seconds = self.context.Array("d", len(PHASES), lock=False)
        work_dir.mkdir(parents=True, exist_ok=True)
        # MMEngine names the folder of each start by the second.
        time.sleep(1 - time.time() % 1)
        process = self.context.Process(
            target=run_training,
            args=(self.path, work_dir, self.options, self.threads, entered, seconds),
        )
        process.start()
        phase = self._kill(process, entered) if kill else None
        process.join()
        if phase is None and process.exitcode:
            raise RuntimeError(
                f"the run failed with exit code {process.exitcode}; see "
                f"{work_dir / 'train.log'}"
            )
        if not self.seconds:
            self.seconds = [
                spent / max(times, 1)
                for spent, times in zip(seconds, entered[:-1], strict=True)
            ]
        return phase

    def _kill(self, process: BaseProcess, entered: Sequence[int]) -> str | None:
        """Kill the run in a random phase; return None if it ended before."""
        phase = self.rng.randrange(len(PHASES))
        times = 1 if phase == 0 else self.rng.randint(1, 3)
        while entered[phase] < times:
            if not process.is_alive():
                return None
            time.sleep(1e-4)
        time.sleep(self.rng.uniform(0, self.seconds[phase]))
        if not process.is_alive():
            return None
        process.kill()
        return PHASES[entered[-1]]


def outcome(work_dir: Path) -> dict[str, Any]:
    """Return what a run ended with, without times and paths."""
    path = find_checkpoint(work_dir)
    content = CheckpointLoader.load_checkpoint(path, "cpu", "silent")
    hub = content.pop("message_hub")
    meta = content.pop("meta")
    return dict(
        content,
        meta={key: meta[key] for key in ("epoch", "iter", "seed")},
        history={
            key: value
            for key, value in hub["log_scalars"].items()
            if key.rpartition("/")[2] not in CLOCKS
        },
        # Its strings are paths, times, and the config with the work directory.
        state={
            key: value
            for key, value in hub["runtime_info"].items()
            if not isinstance(value, str)
        },
        log=[
            {key: value for key, value in line.items() if key not in CLOCKS}
            for line in scalars(work_dir)
        ],
        files=sorted(
            path.name for path in work_dir.iterdir() if path.suffix in (".pth", ".tmp")
        ),
    )


def differences(a: Any, b: Any, path: str = "") -> Iterator[str]:
    """Yield where two nested values are not identical, bit for bit."""
    if isinstance(a, HistoryBuffer):
        a, b = a.data, b.data
    if type(a) is not type(b):
        yield f"{path}: {type(a).__name__} and {type(b).__name__}"
    elif isinstance(a, dict):
        for key in sorted(a.keys() | b.keys(), key=str):
            if key in a and key in b:
                yield from differences(a[key], b[key], f"{path}.{key}")
            else:
                yield f"{path}.{key}: only in one of them"
    elif isinstance(a, (list, tuple)):
        if len(a) != len(b):
            yield f"{path}: {len(a)} and {len(b)} entries"
        for i, (x, y) in enumerate(zip(a, b, strict=False)):
            yield from differences(x, y, f"{path}[{i}]")
    elif isinstance(a, (torch.Tensor, np.ndarray)):
        a, b = np.asarray(a), np.asarray(b)
        if a.dtype != b.dtype or a.shape != b.shape or a.tobytes() != b.tobytes():
            yield f"{path}: other values"
    elif a != b and not (a != a and b != b):
        yield f"{path}: {a!r} and {b!r}"


def check_resume(
    path: str,
    root: Path,
    options: dict | None = None,
    kills: int = 20,
    kills_per_run: int = 5,
    seed: int = 0,
    threads: int = 1,
    report: Callable[[str], None] = print,
) -> list[str]:
    """Kill and resume runs of a config, and compare each with an uninterrupted one.

    Args:
        path (str): The config file.
        root (Path): Folder for the runs. Those that end as they should are removed.
        options (dict, optional): Options to merge into the config. Defaults to None.
        kills (int): Least number of kills in all runs. Defaults to 20.
        kills_per_run (int): Largest number of kills in a run. Defaults to 5.
        seed (int): Random seed of the moments. Defaults to 0.
        threads (int): CPU threads of a run. Defaults to 1.
        report (Callable[[str], None]): Called with each line of progress.

    Returns:
        list[str]: Where the first run that ended otherwise differs; empty if none did.
    """
    runs = KilledRuns(path, options or {}, random.Random(seed), threads)
    through = root / "through"
    runs.attempt(through, kill=False)
    expected = outcome(through)

    killed: Counter[str] = Counter()
    count = 0
    while killed.total() < kills:
        count += 1
        work_dir = root / f"run_{count}"
        for _ in range(kills_per_run):
            phase = runs.attempt(work_dir, kill=True)
            if phase is None:
                break
            killed[phase] += 1
        else:
            runs.attempt(work_dir, kill=False)
        found = list(differences(expected, outcome(work_dir)))
        if found:
            report(f"{work_dir} differs from {through}")
            return found
        shutil.rmtree(work_dir)
        report(f"run {count}: the same after {killed.total()} kills in all")
    by_phase = ", ".join(f"{killed[phase]} in '{phase}'" for phase in PHASES)
    report(f"{killed.total()} kills ({by_phase}) in {count} runs: all ended the same")
    return []
