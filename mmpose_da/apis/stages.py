"""Work that takes several runs: each in its own process, resumable, with a result."""

from __future__ import annotations

import contextlib
import json
import math
import os
import signal
import statistics
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from mmengine.config import Config
from mmengine.runner import CheckpointLoader

from ..datasets import PseudoLabels
from ..datasets.mixed_domain_dataset import target_hash
from ..datasets.pseudo_labels import checkpoint_hash
from ..engine import AtomicLocalBackend, find_checkpoint
from .config import RUN_KEYS, config_text

#: The process of a stage; the kind of the stage and its arguments follow.
COMMAND = (sys.executable, "-m", "mmpose_da.apis.stage_process")
#: Environment variable with the id of the process that waits for a stage.
PARENT = "MMPOSE_DA_STAGE_PARENT"
#: Top-level config keys that a stage reads.
STAGE_KEYS = RUN_KEYS | {"pseudo_labeling"}
POLL_SECONDS = 0.5
#: Number of log lines in the error message of a failed run.
LOG_TAIL = 15
#: What MMEngine adds to the metrics in the log line of a validation.
NOT_METRICS = ("data_time", "time", "step")


@dataclass(frozen=True)
class Result:
    """Result of a training run.

    Attributes:
        metrics (dict[str, float]): Metrics of the last checkpoint on the validation
            set; empty for a config without validation.
        checkpoint (Path): The last checkpoint.
        step_time (float): Median of the logged seconds per training iteration,
            including data loading, after the first tenth of them; nan if none were
            logged.
        peak_memory (float): Peak memory in MiB. On CUDA, this is the logged peak;
            otherwise, it is the peak resident memory of the training process, or of its
            last part if it was resumed.
    """

    metrics: dict[str, float]
    checkpoint: Path
    step_time: float
    peak_memory: float


class Interrupted(Exception):
    """Raised if a training run is stopped from outside before its end."""


def train_stage(
    cfg: Config,
    work_dir: str | Path,
    *,
    threads: int | None = None,
    progress: Callable[[int, int], None] | None = None,
    stop: threading.Event | None = None,
) -> Result:
    """Train in a process of its own, or resume where it was interrupted.

    The work directory receives the config (``input/config.py``), the output
    (``train.log``), and, at the end, ``result.json``. When called again with the same
    config, a finished run is not repeated, and an interrupted one continues from its
    latest checkpoint. ``load_from`` of the config only applies to a run that has no
    checkpoint yet.

    Args:
        cfg (Config): The config. Regardless of its settings, validations are logged
            with the iteration as their step, and the last iteration is saved.
        work_dir (str | Path): Directory of this run alone.
        threads (int, optional): CPU threads of the process. Defaults to None: the
            setting of the environment.
        progress (Callable, optional): Called with the completed and the total number of
            iterations or epochs, depending on the config. Defaults to None.
        stop (threading.Event, optional): Ends the run once it is set. For calls from
            other threads than the main one, which Ctrl-C does not reach. Defaults to
            None.

    Returns:
        Result: Metrics, checkpoint, time, and memory.

    Raises:
        ValueError: If the config cannot be written to a file unchanged.
        RuntimeError: If the directory has a run of another config or is in use, or the
            training failed. The message contains the last lines of its output.
        Interrupted: If ``stop`` was set.
    """
    work_dir = Path(work_dir).resolve()
    cfg = _complete(cfg)
    with locked(work_dir) as lock:
        config = _write_config(cfg, work_dir)
        if (work_dir / "result.json").is_file():
            return read_result(work_dir)

        memory = _run(
            [*COMMAND, "train", str(config), str(work_dir)],
            report=_reporter(cfg, work_dir, progress),
            log_path=work_dir / "train.log",
            threads=threads,
            stop=stop,
            lock=lock,
        )

        checkpoint = find_checkpoint(work_dir)
        if checkpoint is None:
            raise RuntimeError(f"the run in {work_dir} saved no checkpoint")
        metrics = {}
        if cfg.get("val_evaluator"):
            metrics = _metrics(work_dir, _iteration(checkpoint))
            if not metrics:
                raise RuntimeError(
                    f"the log in {work_dir} has no validation of {checkpoint}; delete "
                    "the folder to repeat the run"
                )
        steps = [line for line in scalars(work_dir) if _is_step(line)]
        result = Result(
            metrics=metrics,
            checkpoint=Path(checkpoint),
            step_time=_step_time(steps),
            peak_memory=max((s["memory"] for s in steps if "memory" in s), default=0)
            or memory,
        )
        _write_result(result, work_dir)
        return result


def label_stage(
    cfg: Config,
    checkpoint: str | Path,
    work_dir: str | Path,
    *,
    threads: int | None = None,
    stop: threading.Event | None = None,
) -> PseudoLabels:
    """Label target people in a process of its own, unless it has been done.

    It has been done only with the same checkpoint and annotation file, by their hashes.

    The work directory receives the config (``input/config.py``), the output
    (``label.log``), and, at the end, ``pseudo.json``.

    Args:
        cfg (Config): The config; ``pseudo_labeling`` has the arguments of
            :func:`~mmpose_da.apis.pseudo_labels.pseudo_label`.
        checkpoint (str | Path): The checkpoint to label with.
        work_dir (str | Path): Directory of this stage alone.
        threads (int, optional): CPU threads of the process. Defaults to None: the
            setting of the environment.
        stop (threading.Event, optional): Ends the stage once it is set. Defaults to
            None.

    Returns:
        PseudoLabels: The pseudo-labels.

    Raises:
        AnnotationError: If the directory has pseudo-labels by another checkpoint at the
            same path, or of another annotation file at the same path.
        RuntimeError: If the directory has a stage of another config or is in use, or
            the labeling failed. The message contains the last lines of its output.
        Interrupted: If ``stop`` was set.
    """
    work_dir = Path(work_dir).resolve()
    out = work_dir / "pseudo.json"
    with locked(work_dir) as lock:
        content = dict(_plain(cfg), load_from=str(checkpoint))
        config = _write_config(Config(content), work_dir)
        if not out.is_file():
            _run(
                [*COMMAND, "label", str(config), str(out)],
                report=lambda: None,
                log_path=work_dir / "label.log",
                threads=threads,
                stop=stop,
                lock=lock,
            )
        labels = PseudoLabels.load(out)
        labels.check_made_from(
            out,
            people=target_hash(cfg.train_dataloader.dataset.target),
            checkpoint=checkpoint_hash(checkpoint),
        )
        return labels


def scalars(work_dir: str | Path) -> list[dict]:
    """Return the lines that MMEngine logged, in order of iteration.

    Where a resumed run repeated iterations, the repetition counts.

    Args:
        work_dir (str | Path): Work directory of the run.

    Returns:
        list[dict]: For training iterations, the loss terms, ``lr``, ``time``, ...; for
        validations, the metrics; in both, ``step``, the iteration.
    """
    lines: list[dict] = []
    for path in sorted(Path(work_dir).glob("*/vis_data/scalars.json")):
        # Text after the last newline is still being written, or was never finished.
        for text in path.read_text(encoding="utf-8").split("\n")[:-1]:
            line = json.loads(text)
            while lines and _order(lines[-1]) >= _order(line):
                lines.pop()
            lines.append(line)
    return lines


def _is_step(line: dict) -> bool:
    return "lr" in line


def _order(line: dict) -> tuple[int, bool]:
    """Sort a validation after the iteration of the same number."""
    return line["step"], not _is_step(line)


def _metrics(work_dir: Path, iteration: int) -> dict[str, float]:
    """Return the metrics of the validation after an iteration; empty if none."""
    for line in reversed(scalars(work_dir)):
        if not _is_step(line) and line["step"] == iteration:
            return {k: v for k, v in line.items() if k not in NOT_METRICS}
    return {}


def _iteration(checkpoint: str) -> int:
    content = CheckpointLoader.load_checkpoint(checkpoint, "cpu", logger="silent")
    return content["meta"]["iter"]


def _step_time(steps: list[dict]) -> float:
    times = [line["time"] for line in steps[math.ceil(len(steps) / 10) :] or steps]
    return statistics.median(times) if times else math.nan


def _complete(cfg: Config) -> Config:
    """Return a copy with what a stage needs, without what its process sets."""
    content = _plain(cfg)
    hooks = content["default_hooks"] = dict(content.get("default_hooks") or {})
    hooks["logger"] = dict(
        hooks.get("logger") or dict(type="LoggerHook"), log_metric_by_epoch=False
    )
    if hooks.get("checkpoint"):
        hooks["checkpoint"] = dict(hooks["checkpoint"], save_last=True)
    return Config(content)


def _plain(cfg: Config) -> dict:
    """Return the content of a config without what the process of a stage sets."""
    content = cfg.to_dict()
    for key in ("work_dir", "resume", "launcher"):
        content.pop(key, None)
    return content


@contextlib.contextmanager
def locked(work_dir: Path) -> Iterator[int]:
    """Keep other runs out of the work directory.

    The lock is held as long as any process has it open. Its descriptor is yielded so
    that a child process, which may outlive this one, can inherit it.
    """
    import fcntl  # not available on Windows

    work_dir.mkdir(parents=True, exist_ok=True)
    with open(work_dir / "lock", "w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise RuntimeError(
                f"another run is writing to {work_dir}; wait for it or end it"
            ) from None
        yield file.fileno()


def _write_config(cfg: Config, work_dir: Path) -> Path:
    """Write the config, or compare it with the existing one."""
    # Not in the work directory itself, where MMEngine writes a file of the same name.
    path = work_dir / "input" / "config.py"
    content = cfg.to_dict()
    if path.is_file():
        before = Config.fromfile(path).to_dict()
        # Variables of the config files, which no run reads, may differ.
        changed = sorted(k for k in STAGE_KEYS if before.get(k) != content.get(k))
        if changed:
            raise RuntimeError(
                f"{work_dir} has a run of another config (they differ in "
                f"{', '.join(changed)}); delete the folder or give another one"
            )
        return path
    AtomicLocalBackend().put_text(config_text(content), path)
    try:
        same = Config.fromfile(path).to_dict() == content
    except Exception as error:
        path.unlink()
        raise ValueError(f"the config cannot be written to {path}: {error}") from error
    if not same:
        path.unlink()
        raise ValueError(f"the config is not the same once written to {path}")
    return path


def _write_result(result: Result, work_dir: Path) -> None:
    content = dict(asdict(result), checkpoint=result.checkpoint.name)
    text = json.dumps(content, indent=1)
    AtomicLocalBackend().put_text(text, work_dir / "result.json")


def read_result(work_dir: Path) -> Result:
    """Read the result of a finished training run."""
    content = json.loads((work_dir / "result.json").read_text(encoding="utf-8"))
    content["checkpoint"] = work_dir / content["checkpoint"]
    return Result(**content)


def _reporter(
    cfg: Config, work_dir: Path, progress: Callable[[int, int], None] | None
) -> Callable[[], None]:
    """Create a function that reports the progress of a run to ``progress``."""
    by_iter = cfg.train_cfg.get("max_iters")
    key, total = ("step", by_iter) if by_iter else ("epoch", cfg.train_cfg.max_epochs)

    def report() -> None:
        if progress is not None:
            steps = [line[key] for line in scalars(work_dir) if _is_step(line)]
            progress(max(steps, default=0), total)

    return report


def _run(
    command: list[str],
    *,
    log_path: Path,
    threads: int | None,
    stop: threading.Event | None,
    lock: int,
    report: Callable[[], None],
) -> float:
    """Run the process of a stage to its end, and return its peak memory in MiB.

    On Linux, the process also ends if this one is killed.
    """
    environment = dict(os.environ, PYTHONUNBUFFERED="1")
    environment[PARENT] = str(os.getpid())
    if threads is not None:
        environment.update(OMP_NUM_THREADS=str(threads), MKL_NUM_THREADS=str(threads))
    with open(log_path, "a", encoding="utf-8") as log:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            env=environment,
            pass_fds=[lock],
            start_new_session=True,  # to end it together with its data loader workers
        )
    try:
        memory = _wait(process, stop or threading.Event(), report)
    except BaseException:
        _end(process)
        raise
    if process.returncode:
        raise RuntimeError(
            f"the process failed with exit code {process.returncode}; the end of "
            f"{log_path}:\n{_tail(log_path)}"
        )
    return memory


def _wait(
    process: subprocess.Popen, stop: threading.Event, report: Callable[[], None]
) -> float:
    while True:
        pid, status, usage = os.wait4(process.pid, os.WNOHANG)
        if pid:
            process.returncode = os.waitstatus_to_exitcode(status)
            report()
            # Bytes on macOS, KiB elsewhere.
            return usage.ru_maxrss / 2 ** (20 if sys.platform == "darwin" else 10)
        report()
        if stop.wait(POLL_SECONDS):
            raise Interrupted(f"process {process.pid} was stopped")


def _end(process: subprocess.Popen) -> None:
    """End a process and its children."""
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _tail(path: Path) -> str:
    with open(path, encoding="utf-8", errors="replace") as file:
        return "".join(file.readlines()[-LOG_TAIL:])
