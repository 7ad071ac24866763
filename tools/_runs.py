"""Trainings that tools start: each in a process of its own, resumed, with a result."""

import contextlib
import fcntl
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

from mmpose_da.apis import config_text
from mmpose_da.engine import AtomicLocalBackend, find_checkpoint

TOOLS = Path(__file__).resolve().parent
POLL_SECONDS = 0.5
#: Lines of the log that the message about a failed run shows.
LOG_TAIL = 15
#: What MMEngine adds to the metrics in a line of a validation.
NOT_METRICS = ("data_time", "time", "step")


@dataclass(frozen=True)
class Result:
    """What a training gave.

    Attributes:
        metrics (dict[str, float]): Of the last checkpoint on the validation set; empty
            for a config without validation.
        checkpoint (Path): The last checkpoint.
        step_time (float): Median of the logged seconds of one training iteration, data
            loading included, after the first tenth of them; nan if none was logged.
        peak_memory (float): MiB. On CUDA the peak that was logged, else the peak
            resident memory of the training process, of its last part if it was resumed.
    """

    metrics: dict[str, float]
    checkpoint: Path
    step_time: float
    peak_memory: float


class Interrupted(Exception):
    """A training was stopped from outside before its end."""


def train(
    cfg: Config,
    work_dir: str | Path,
    *,
    threads: int | None = None,
    progress: Callable[[int, int], None] | None = None,
    stop: threading.Event | None = None,
) -> Result:
    """Run ``tools/train.py`` to its end, or go on where it was interrupted.

    The folder gets the config (``input/config.py``), the output (``train.log``) and, at
    the end, ``result.json``. With the same config again, a finished run is not
    repeated, and an interrupted one goes on from its latest checkpoint. ``load_from``
    of the config counts for a run that has no checkpoint yet.

    Args:
        cfg (Config): The config. Iterations are logged as the step of validations,
            whatever it says, and the last iteration is saved.
        work_dir (str | Path): Folder of this run alone.
        threads (int, optional): CPU threads of the process. Defaults to None: what the
            environment says.
        progress (Callable, optional): Called with what is done and with the total, in
            iterations or in epochs, as the config counts. Defaults to None.
        stop (threading.Event, optional): Ends the training once it is set, for a call
            from another thread than the main one, which no Ctrl-C reaches. Defaults to
            None.

    Returns:
        Result: Its metrics, checkpoint, time and memory.

    Raises:
        ValueError: The config can't be written to a file as it is.
        RuntimeError: The folder has a run of another config, or is in use, or the
            training failed; the message has the last lines of its output.
        Interrupted: ``stop`` was set.
    """
    work_dir = Path(work_dir).resolve()
    cfg = _complete(cfg)
    with _locked(work_dir) as lock:
        config = _write_config(cfg, work_dir)
        if (work_dir / "result.json").is_file():
            return _read_result(work_dir)

        command = ["train.py", config, "--work-dir", work_dir, "--resume"]
        memory = _run(
            command,
            report=_reporter(cfg, work_dir, progress),
            work_dir=work_dir,
            threads=threads,
            stop=stop,
            lock=lock,
        )

        checkpoint = find_checkpoint(work_dir)
        if checkpoint is None:
            raise RuntimeError(f"the training in {work_dir} saved no checkpoint")
        metrics = {}
        if cfg.get("val_evaluator"):
            metrics = _metrics(work_dir, _iteration(checkpoint))
            if not metrics:
                raise RuntimeError(
                    f"the log in {work_dir} has no validation of {checkpoint}; delete "
                    "the folder to repeat the training"
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


def scalars(work_dir: str | Path) -> list[dict]:
    """The lines that MMEngine logged, in order of iteration.

    Of what a resumed run repeated, the repetition counts.

    Args:
        work_dir (str | Path): The folder of the run.

    Returns:
        list[dict]: For training iterations the loss terms, ``lr``, ``time``, ...; for
        validations the metrics; in both ``step``, the iteration.
    """
    lines: list[dict] = []
    for path in sorted(Path(work_dir).glob("*/vis_data/scalars.json")):
        # What follows the last end of line is being written, or never was to its end.
        for text in path.read_text(encoding="utf-8").split("\n")[:-1]:
            line = json.loads(text)
            while lines and _order(lines[-1]) >= _order(line):
                lines.pop()
            lines.append(line)
    return lines


def _is_step(line: dict) -> bool:
    return "lr" in line


def _order(line: dict) -> tuple[int, bool]:
    """A validation comes after the iteration of the same number."""
    return line["step"], not _is_step(line)


def _metrics(work_dir: Path, iteration: int) -> dict[str, float]:
    """The metrics of the validation after an iteration; empty if there was none."""
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
    """A copy with what :func:`train` relies on, without what its options say."""
    content = cfg.to_dict()
    for key in ("work_dir", "resume", "launcher"):
        content.pop(key, None)
    hooks = content["default_hooks"] = dict(content.get("default_hooks") or {})
    hooks["logger"] = dict(
        hooks.get("logger") or dict(type="LoggerHook"), log_metric_by_epoch=False
    )
    if hooks.get("checkpoint"):
        hooks["checkpoint"] = dict(hooks["checkpoint"], save_last=True)
    return Config(content)


@contextlib.contextmanager
def _locked(work_dir: Path) -> Iterator[int]:
    """Keep other trainings out of the folder.

    The lock is held as long as a process has it open: its descriptor is given, for a
    child to inherit that may outlive this process.
    """
    work_dir.mkdir(parents=True, exist_ok=True)
    with open(work_dir / "lock", "w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise RuntimeError(
                f"another training is writing to {work_dir}; wait for it or end it"
            ) from None
        yield file.fileno()


def _write_config(cfg: Config, work_dir: Path) -> Path:
    """Write the config, or compare with the one that is there."""
    # Not in the folder itself, where MMEngine writes a file of the same name.
    path = work_dir / "input" / "config.py"
    content = cfg.to_dict()
    if path.is_file():
        before = Config.fromfile(path).to_dict()
        keys = before.keys() | content.keys()
        changed = sorted(k for k in keys if before.get(k) != content.get(k))
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
        raise ValueError(f"the config can't be written to {path}: {error}") from error
    if not same:
        path.unlink()
        raise ValueError(f"the config is not the same once written to {path}")
    return path


def _write_result(result: Result, work_dir: Path) -> None:
    content = dict(asdict(result), checkpoint=result.checkpoint.name)
    text = json.dumps(content, indent=1)
    AtomicLocalBackend().put_text(text, work_dir / "result.json")


def _read_result(work_dir: Path) -> Result:
    content = json.loads((work_dir / "result.json").read_text(encoding="utf-8"))
    content["checkpoint"] = work_dir / content["checkpoint"]
    return Result(**content)


def _reporter(
    cfg: Config, work_dir: Path, progress: Callable[[int, int], None] | None
) -> Callable[[], None]:
    """What tells ``progress`` how far a run is."""
    by_iter = cfg.train_cfg.get("max_iters")
    key, total = ("step", by_iter) if by_iter else ("epoch", cfg.train_cfg.max_epochs)

    def report() -> None:
        if progress is not None:
            steps = [line[key] for line in scalars(work_dir) if _is_step(line)]
            progress(max(steps, default=0), total)

    return report


def _run(
    command: list,
    *,
    work_dir: Path,
    threads: int | None,
    stop: threading.Event | None,
    lock: int,
    report: Callable[[], None],
) -> float:
    """Run a script of this folder to its end, and give its peak memory in MiB."""
    environment = dict(os.environ, PYTHONUNBUFFERED="1")
    if threads is not None:
        environment.update(OMP_NUM_THREADS=str(threads), MKL_NUM_THREADS=str(threads))
    log_path = work_dir / "train.log"
    with open(log_path, "a", encoding="utf-8") as log:
        process = subprocess.Popen(
            [sys.executable, str(TOOLS / command[0]), *map(str, command[1:])],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            env=environment,
            pass_fds=[lock],
            start_new_session=True,  # to end it together with its loaders' processes
        )
    try:
        memory = _wait(process, stop or threading.Event(), report)
    except BaseException:
        _end(process)
        raise
    if process.returncode:
        raise RuntimeError(
            f"{command[0]} failed with exit code {process.returncode}; the end of "
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
    """End a process and those that it started."""
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _tail(path: Path) -> str:
    with open(path, encoding="utf-8", errors="replace") as file:
        return "".join(file.readlines()[-LOG_TAIL:])
