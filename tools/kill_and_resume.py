"""Kill a run at random moments, resume it, and compare it with an uninterrupted one.

The run is one of ``tools/train.py``. It is killed (SIGKILL) during startup, in an
iteration, in a save, or in a validation, and resumed, several times per run. Its
outcome must match that of the uninterrupted run bit for bit: weights, teacher,
optimizer, schedulers, loss history, metrics, log, and remaining files. If it does not,
the exit code is 1.
"""

import argparse
import multiprocessing
import os
import random
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import _runs
import numpy as np
import torch
import train
from _cli import existing_file
from mmengine.hooks import Hook
from mmengine.logging import HistoryBuffer
from mmengine.runner import CheckpointLoader, Runner

from mmpose_da.engine import find_checkpoint

PHASES = ("start", "iteration", "save", "validation")
#: Values that differ between any two runs.
CLOCKS = ("time", "data_time", "memory")


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line; unknown options are passed on to the training."""
    parser = argparse.ArgumentParser(
        description=__doc__.split("\n\n")[0],
        epilog="All other options are those of tools/train.py.",
    )
    option = parser.add_argument
    option("config", type=existing_file)
    option("--kills", type=int, default=20, help="at least so many, in all runs")
    option("--kills-per-run", type=int, default=5, help="at most so many in a run")
    option("--seed", type=int, default=0, help="of the moments")
    option("--threads", type=int, default=1, help="CPU threads of a training")
    option("--work-dir", type=Path, help="kept if it is given, or if runs differ")
    args, args.options = parser.parse_known_args(argv)
    return args


class PhaseHook(Hook):
    """Tells another process what a training run is doing.

    Args:
        entered (Array): How often each of :data:`PHASES` was entered, followed by the
            index of the current one.
        seconds (Array): The total duration of each.
    """

    priority = "VERY_HIGH"

    def __init__(self, entered: Sequence[int], seconds: Sequence[float]) -> None:
        self.entered, self.seconds = entered, seconds
        self.since = time.perf_counter()
        self.enter("start")

    def enter(self, phase: str) -> None:
        now = time.perf_counter()
        self.seconds[self.entered[-1]] += now - self.since
        self.since = now
        self.entered[PHASES.index(phase)] += 1
        self.entered[-1] = PHASES.index(phase)

    def before_train_iter(self, *args, **kwargs) -> None:
        self.enter("iteration")

    def before_save_checkpoint(self, *args, **kwargs) -> None:
        self.enter("save")

    def before_val(self, *args, **kwargs) -> None:
        self.enter("validation")


def run_training(
    argv: list[str], log: Path, threads: int, entered: Sequence, seconds: Sequence
) -> None:
    """Train in this process, as ``tools/train.py`` does."""
    with open(log, "a") as file:
        for stream in (sys.stdout, sys.stderr):
            os.dup2(file.fileno(), stream.fileno())
    torch.set_num_threads(threads)
    hook = PhaseHook(entered, seconds)
    cfg = train.make_config(train.parse_args(argv))
    if cfg.get("randomness", {}).get("seed") is None:
        cfg.randomness = dict(cfg.get("randomness", {}), seed=0)  # the same for all
    runner = Runner.from_cfg(cfg)
    runner.register_hook(hook)
    runner.train()


class Trainings:
    """Starts and kills training runs of a config."""

    def __init__(self, args: argparse.Namespace, rng: random.Random) -> None:
        self.args, self.rng = args, rng
        # Fork from a server that has imported everything but computed nothing.
        self.context = multiprocessing.get_context("forkserver")
        self.context.set_forkserver_preload(["train"])
        self.seconds: list[float] = []  # per phase, once a run has completed

    def attempt(self, work_dir: Path, kill: bool) -> str | None:
        """Train or resume; return the phase in which it was killed, or None."""
        args = self.args
        argv = [args.config, "--work-dir", str(work_dir), "--resume", *args.options]
        entered = self.context.Array("l", len(PHASES) + 1, lock=False)
        seconds = self.context.Array("d", len(PHASES), lock=False)
        work_dir.mkdir(parents=True, exist_ok=True)
        # MMEngine names the folder of each start by the second.
        time.sleep(1 - time.time() % 1)
        log = work_dir / "train.log"
        process = self.context.Process(
            target=run_training, args=(argv, log, args.threads, entered, seconds)
        )
        process.start()
        phase = self._kill(process, entered) if kill else None
        process.join()
        if phase is None and process.exitcode:
            raise RuntimeError(
                f"the training failed with exit code {process.exitcode}; see {log}"
            )
        if not self.seconds:
            self.seconds = [
                spent / max(times, 1)
                for spent, times in zip(seconds, entered[:-1], strict=True)
            ]
        return phase

    def _kill(self, process: multiprocessing.Process, entered: Sequence) -> str | None:
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
            for line in _runs.scalars(work_dir)
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


def main(argv: Sequence[str] | None = None) -> int:
    """Kill and resume runs, compare them, and print the number of kills."""
    args = parse_args(argv)
    root = args.work_dir or Path(tempfile.mkdtemp(prefix="kill_and_resume_"))
    trainings = Trainings(args, random.Random(args.seed))
    trainings.attempt(root / "through", kill=False)
    expected = outcome(root / "through")

    kills, runs = Counter(), 0
    while kills.total() < args.kills:
        runs += 1
        work_dir = root / f"run_{runs}"
        for _ in range(args.kills_per_run):
            phase = trainings.attempt(work_dir, kill=True)
            if phase is None:
                break
            kills[phase] += 1
        else:
            trainings.attempt(work_dir, kill=False)
        found = list(differences(expected, outcome(work_dir)))
        if found:
            print(f"{work_dir} differs from {root / 'through'}:", *found[:20], sep="\n")
            return 1
        shutil.rmtree(work_dir)
        print(f"run {runs}: the same after {kills.total()} kills in all", flush=True)
    if args.work_dir is None:
        shutil.rmtree(root)
    by_phase = ", ".join(f"{kills[phase]} in '{phase}'" for phase in PHASES)
    print(f"{kills.total()} kills ({by_phase}) in {runs} runs: all ended the same")
    return 0


if __name__ == "__main__":
    sys.exit(main())
