"""Training methods over several seeds with one budget, and one table of them.

Every row is a config. All rows of a seed may start from one source model that is
trained with that seed. The results are those of the last checkpoint on the validation
set, never of the best one. A benchmark that is run again resumes.
"""

from __future__ import annotations

import csv
import math
import os
import re
import statistics
import threading
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from copy import deepcopy
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeVar

import torch
from matplotlib.figure import Figure
from mmengine.config import Config
from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from .config import load_config, merge_options
from .machine import device_name, num_cores
from .self_training import SelfTraining, self_train
from .stages import Interrupted, Result, train_stage

Value = TypeVar("Value")

#: Name of the row whose file name consists of the common part only.
UNNAMED_ROW = "uda"
#: Names of the rows at which the gap begins and ends.
LOWER_ROW, UPPER_ROW = "source-only", "oracle"
#: Metrics over several joints; all others are for a single part.
SUMMARY_METRIC = re.compile(r"\(\d+ joints\)")


@dataclass(frozen=True)
class Run:
    """One training run of a row.

    Attributes:
        row (str): Name of the row.
        seed (int): Its seed.
        result (Result, optional): Its result, or None if it failed.
        error (str): Why it failed, and where its log is.
    """

    row: str
    seed: int
    result: Result | None = None
    error: str = ""


@dataclass(frozen=True)
class Row:
    """A row of the table: a config over its seeds. Unknown values are nan.

    Attributes:
        name (str): Name of the row.
        values (tuple[float, ...]): The metric of each seed that did not fail.
        mean (float): Their mean.
        std (float): Their sample standard deviation; nan for fewer than two.
        gap_closed (float): Share of the gap between the lower and the upper row that is
            closed, computed for each seed, then averaged.
        parts (dict[str, float]): Mean metric of each body part.
        step_time (float): Median seconds per iteration.
        peak_memory (float): Highest peak in MiB.
    """

    name: str
    values: tuple[float, ...]
    mean: float
    std: float
    gap_closed: float
    parts: dict[str, float]
    step_time: float
    peak_memory: float


# Configs


def with_iters(cfg: Config, iters: int) -> Config:
    """Return a copy that trains for ``iters`` iterations and validates after the last.

    Those of a self-training are the iterations of all rounds together.

    Raises:
        ValueError: If the config counts epochs, or the rounds do not divide ``iters``.
    """
    if "max_iters" not in cfg.train_cfg:
        raise ValueError(
            f"{cfg.filename} cannot be trained for {iters} iterations: its `train_cfg` "
            f"has no `max_iters`, but {dict(cfg.train_cfg)}"
        )
    rounds = num_rounds(cfg)
    if iters % rounds:
        raise ValueError(
            f"{cfg.filename} cannot be trained for {iters} iterations: they are no "
            f"multiple of its {rounds} rounds"
        )
    cfg = deepcopy(cfg)
    cfg.train_cfg.update(max_iters=iters // rounds, val_interval=iters // rounds)
    return cfg


def num_rounds(cfg: Config) -> int:
    """Return how often a config is trained: the rounds of a self-training, or 1."""
    return SelfTraining.of(cfg).rounds if cfg.get("self_training") else 1


def load_row(
    path: str,
    pair: str | None = None,
    iters: int | None = None,
    options: dict | None = None,
) -> Config:
    """Load a config, with the command-line changes that apply to all configs.

    Raises:
        ValueError: If an option does not fit the config, or the config would select a
            checkpoint by target labels.
    """
    cfg = load_config(path, pair)
    if iters is not None:
        cfg = with_iters(cfg, iters)
    merge_options(cfg, options or {})
    if (cfg.get("default_hooks", {}).get("checkpoint") or {}).get("save_best"):
        raise ValueError(
            f"{path} sets `default_hooks.checkpoint.save_best`, which chooses a "
            "checkpoint by target labels; set it to None: the last one counts"
        )
    return cfg


def common_value(
    rows: dict[str, Config], name: str, read: Callable[[Config], Value]
) -> Value:
    """Return a value that must be the same for all rows.

    Raises:
        ValueError: If it differs, or a row does not have it.
    """
    values = {row: read(cfg) for row, cfg in rows.items()}
    if len(set(values.values())) > 1 or None in values.values():
        raise ValueError(f"all rows need one and the same {name}, but have {values}")
    return next(iter(values.values()))


def budget(cfg: Config) -> str:
    """Describe how long a config trains."""
    iters, rounds = cfg.train_cfg.get("max_iters"), num_rounds(cfg)
    if iters:
        return f"{rounds * iters} iterations"
    return f"{rounds * cfg.train_cfg.max_epochs} epochs"


def target_labels(cfg: Config) -> str:
    """Describe how many target labels a config trains with."""
    dataset = cfg.train_dataloader.dataset
    labeled = dataset.get("labeled_target")
    if labeled and labeled.get("ratio") == 1:
        return "all"
    kinds = ["parts"] if (dataset.get("target") or {}).get("labels") == "parts" else []
    if labeled:
        count, ratio = labeled.get("count"), labeled.get("ratio", 0)
        kinds.append(f"{count} images" if count else f"{100 * ratio:g} %")
    return ", ".join(kinds) or "none"


def row_names(paths: Sequence[str]) -> list[str]:
    """Return file names without their common prefix, in parts between ``_``.

    Raises:
        ValueError: If two rows have the same name.
    """
    parts = [Path(path).stem.split("_") for path in paths]
    common = len(os.path.commonprefix(parts)) if len(parts) > 1 else 0
    names = ["_".join(of_one[common:]) or UNNAMED_ROW for of_one in parts]
    if len(set(names)) < len(names):
        raise ValueError(f"the rows need different file names, but have {names}")
    return names


def find_bound(names: Sequence[str], wanted: str) -> str | None:
    """Find the row with this name, alone or after the name of a network.

    Args:
        names (Sequence[str]): Names of the rows.
        wanted (str): ``'source-only'`` or ``'oracle'``.

    Returns:
        str, optional: Its name; None if there is no such row, or more than one.
    """
    found = [name for name in names if name.split("_")[-1] == wanted]
    return found[0] if len(found) == 1 else None


def gap_note(
    runs: Sequence[Run], lower: str | None, upper: str | None, metric: str
) -> str:
    """Explain in Markdown why a share of the gap is empty; empty if none is.

    Args:
        runs (Sequence[Run]): All runs.
        lower (str, optional): Row at which the gap begins.
        upper (str, optional): Row at which the gap ends.
        metric (str): The metric to compare.
    """
    reasons = []
    for bound, option, wanted in (
        (lower, "--lower", LOWER_ROW),
        (upper, "--upper", UPPER_ROW),
    ):
        if bound is None:
            reasons.append(f"there is no single row `{wanted}`; name one with {option}")
    if lower is not None and upper is not None:
        values = {
            bound: {
                run.seed: run.result.metrics[metric]
                for run in runs
                if run.row == bound and run.result is not None
            }
            for bound in (lower, upper)
        }
        for seed in sorted({run.seed for run in runs}):
            missing = [bound for bound in values if seed not in values[bound]]
            if missing:
                reasons.append(f"seed {seed} has no result of {', '.join(missing)}")
            elif values[lower][seed] == values[upper][seed]:
                reasons.append(f"in seed {seed}, {lower} and {upper} are equal")
    if not reasons:
        return ""
    return f"\nNot in the share of the gap: {'; '.join(reasons)}.\n"


# Runs


def run_all(
    rows: dict[str, Config],
    seeds: Sequence[int],
    metric: str,
    work_dir: Path,
    init: Config | None = None,
    jobs: int = 1,
    console: Console | None = None,
) -> list[Run]:
    """Train every row with every seed, in ``work_dir/seed_N/NAME_OF_CONFIG``.

    Args:
        rows (dict[str, Config]): The config of each row.
        seeds (Sequence[int]): The seeds.
        metric (str): The metric that a row must have in the end.
        work_dir (Path): Directory of all runs.
        init (Config, optional): Trained in ``work_dir/seed_N/init``, as the start of
            the rows. Defaults to None: they start from their own ``load_from``. In
            either case, a row that starts from another row does so with the same seed;
            see :func:`starting_row`.
        jobs (int): Number of simultaneous runs. Each gets its share of the CPU.
            Defaults to 1.
        console (Console, optional): Where progress is shown. Defaults to None: standard
            error.

    Returns:
        list[Run]: The runs of ``init`` for every seed, then those of every row and
        seed, including failed ones.

    Raises:
        ValueError: If a row starts from one that is not there.
    """
    before: dict[str, str | None] = {row: starting_row(row, rows, init) for row in rows}
    threads, stop = threads_per_job(jobs), threading.Event()
    total = len(seeds) * (len(rows) + (init is not None))

    def folder_of(row: str | None, seed: int) -> Path:
        name = "init" if row is None else Path(rows[row].filename).stem
        return work_dir / f"seed_{seed}" / name

    def run(row: str | None, seed: int, cfg: Config, start: Future | None) -> Run:
        folder, shown_row = folder_of(row, seed), row or "init"
        cfg = deepcopy(cfg)
        cfg.randomness = dict(cfg.get("randomness") or {}, seed=seed)
        if start is not None:
            source = start.result()
            if source.result is None:
                error = f"{source.row}, which it starts from, failed"
                return monitor.ended(Run(shown_row, seed, error=error))
            # Relative if the work directory is, so that all of it can be moved.
            place = folder_of(before[row] if row else None, seed)
            checkpoint = os.path.relpath(source.result.checkpoint, place.resolve())
            cfg.load_from = str(place / checkpoint)
        try:
            progress = partial(monitor.report, (shown_row, seed))
            stage = self_train if cfg.get("self_training") else train_stage
            result = stage(cfg, folder, threads=threads, progress=progress, stop=stop)
            if row is not None and metric not in result.metrics:
                raise ValueError(
                    f"the evaluator gives no '{metric}', but {sorted(result.metrics)}; "
                    f"the log is {folder / 'train.log'}"
                )
        except Interrupted:
            raise
        except Exception as error:  # one run failed, the others continue
            return monitor.ended(Run(shown_row, seed, error=str(error)))
        shown = "done" if row is None else f"{metric} {result.metrics[metric]:.4g}"
        return monitor.ended(Run(shown_row, seed, result), shown)

    with Monitor(total, console) as monitor, ThreadPoolExecutor(jobs) as pool:
        # The pool starts the runs in this order, so no row waits for one that cannot
        # start.
        futures: dict[tuple[str | None, int], Future] = {}  # None: the source model
        if init is not None:
            for seed in seeds:
                futures[None, seed] = pool.submit(run, None, seed, init, None)
        for seed in seeds:
            for row in in_order(before):
                start = futures.get((before[row], seed))
                futures[row, seed] = pool.submit(run, row, seed, rows[row], start)
        keys = [key for key in futures if key[0] is None]
        keys += [(row, seed) for seed in seeds for row in rows]
        try:
            return [futures[key].result() for key in keys]
        except BaseException:
            stop.set()
            pool.shutdown(cancel_futures=True)
            raise


def starting_row(
    row: str, rows: dict[str, Config], init: Config | None = None
) -> str | None:
    """Return the row whose checkpoint a row starts from.

    That is the row whose work directory, ``work_dirs/NAME_OF_CONFIG``, is in the
    ``load_from`` of the config.

    Args:
        row (str): Name of the row.
        rows (dict[str, Config]): The config of each row.
        init (Config, optional): The source model of the benchmark. Defaults to None.

    Returns:
        str, optional: Its name; None if the row starts from ``init`` or a file.

    Raises:
        ValueError: If the benchmark has a source model, but the row starts from a
            config beside it that is not in the benchmark.
    """
    path = Path(rows[row].filename)
    folders = Path(str(rows[row].get("load_from") or "")).parts[:-1]
    for other, cfg in rows.items():
        if other != row and Path(cfg.filename).stem in folders:
            return other
    if init is not None:
        for folder in {*folders} - {Path(init.filename).stem}:
            if path.with_name(f"{folder}.py").is_file():
                raise ValueError(
                    f"{path} starts from {folder} (`load_from`), so {folder}.py has to "
                    "be in the benchmark as well"
                )
    return None


def in_order(before: dict[str, str | None]) -> list[str]:
    """Return the rows, each after the one that it starts from.

    Args:
        before (dict[str, str | None]): The row that each row starts from, if any.

    Raises:
        ValueError: If rows start from each other.
    """
    done: list[str] = []
    while len(done) < len(before):
        ready = [r for r in before if r not in done and before[r] in (None, *done)]
        if not ready:
            raise ValueError(
                f"rows start from each other: {sorted({*before} - {*done})}"
            )
        done += ready
    return done


def threads_per_job(jobs: int) -> int:
    """Return how many CPU cores each of ``jobs`` simultaneous runs gets."""
    return max(1, num_cores() // jobs)


class Monitor:
    """Shows the progress of all runs: a live bar on a terminal, and a line per end."""

    def __init__(self, total: int, console: Console | None = None) -> None:
        console = console or Console(stderr=True)
        self.bar = Progress(
            TextColumn("{task.completed:.1f} of {task.total} runs"),
            BarColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.description}"),
            console=console,
            disable=not console.is_terminal,
        )
        self.task = self.bar.add_task("", total=total)
        self.total, self.num_ended = total, 0
        self.shares: dict[tuple[str, int], float] = {}
        self.lock = threading.Lock()

    def __enter__(self) -> Monitor:
        self.bar.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.bar.stop()

    def report(self, run: tuple[str, int], done: int, total: int) -> None:
        """Record the progress of a run, given by row and seed."""
        with self.lock:
            self.shares[run] = done / total
            self._update()

    def ended(self, run: Run, shown: str = "") -> Run:
        """Record that a run has ended, and return it."""
        with self.lock:
            self.shares.pop((run.row, run.seed), None)
            self.num_ended += 1
            self.bar.console.print(
                f"[{self.num_ended}/{self.total}] {run.row}, seed {run.seed}: "
                + (f"failed: {run.error}" if run.error else shown),
                markup=False,
                highlight=False,
                soft_wrap=True,
            )
            self._update()
        return run

    def _update(self) -> None:
        running = ", ".join(f"{row} {seed}" for row, seed in self.shares)
        completed = self.num_ended + sum(self.shares.values())
        self.bar.update(self.task, completed=completed, description=running)


# Results


def summarize(
    runs: Sequence[Run],
    names: Sequence[str],
    metric: str,
    lower: str | None = None,
    upper: str | None = None,
) -> list[Row]:
    """Summarize the runs as rows of the table.

    Args:
        runs (Sequence[Run]): All runs. Failed ones are ignored.
        names (Sequence[str]): Names of the rows, in order.
        metric (str): The metric to compare.
        lower (str, optional): Row at which the gap begins. Defaults to None: no gap.
        upper (str, optional): Row at which the gap ends. Defaults to None: no gap.

    Returns:
        list[Row]: One row per name.
    """
    results: dict[str, dict[int, Result]] = {name: {} for name in names}
    for run in runs:
        if run.row in results and run.result is not None:
            results[run.row][run.seed] = run.result
    values = {
        name: {seed: result.metrics[metric] for seed, result in by_seed.items()}
        for name, by_seed in results.items()
    }
    lowest, highest = (
        {} if bound is None else values.get(bound, {}) for bound in (lower, upper)
    )

    def summary(name: str) -> Row:
        of_row, by_seed = values[name], results[name].values()
        gaps = [
            (of_row[seed] - lowest[seed]) / (highest[seed] - lowest[seed])
            for seed in of_row.keys() & lowest.keys() & highest.keys()
            if highest[seed] != lowest[seed]
        ]
        parts = {m: None for r in by_seed for m in r.metrics if is_part(m, metric)}
        return Row(
            name=name,
            values=tuple(of_row.values()),
            mean=mean(of_row.values()),
            std=statistics.stdev(of_row.values()) if len(of_row) > 1 else math.nan,
            gap_closed=mean(gaps),
            parts={m: mean([r.metrics[m] for r in by_seed]) for m in parts},
            step_time=statistics.median([r.step_time for r in by_seed] or [math.nan]),
            peak_memory=max([r.peak_memory for r in by_seed], default=math.nan),
        )

    return [summary(name) for name in names]


def is_part(name: str, metric: str) -> bool:
    """Return whether a metric is for a single body part."""
    return name != metric and not SUMMARY_METRIC.search(name)


def mean(values: Collection[float]) -> float:
    """Return the mean; nan if there are no values."""
    return statistics.fmean(values) if values else math.nan


def markdown(rows: Sequence[Row], labels: dict[str, str], metric: str) -> str:
    """Format the table in Markdown.

    Args:
        rows (Sequence[Row]): Rows of the table.
        labels (dict[str, str]): The target labels that each row trains with.
        metric (str): Name of the metric.

    Returns:
        str: The table. Cells with unknown values are empty.
    """
    # Percent, or fractions of 1, such as COCO's AP.
    digits = 1 if any(value > 1 for row in rows for value in row.values) else 3

    def cell(value: float, digits: int = digits, unit: str = "") -> str:
        if math.isnan(value):
            return ""
        return f"{round(value, digits) + 0.0:.{digits}f}{unit}"  # no negative zero

    parts = list(dict.fromkeys(part for row in rows for part in row.parts))
    heads = ["row", "target labels", metric, "gap closed"]
    heads += [part.split(" PCK")[0] for part in parts] + ["s / step", "MiB"]
    lines = [heads, ["---"] * 2 + ["---:"] * (len(heads) - 2)]
    for row in rows:
        spread = "" if math.isnan(row.std) else f" ± {cell(row.std)}"
        lines.append(
            [
                row.name,
                labels[row.name],
                cell(row.mean) + spread,
                cell(100 * row.gap_closed, 0, " %"),
                *(cell(row.parts.get(part, math.nan)) for part in parts),
                cell(row.step_time, 3),
                cell(row.peak_memory, 0),
            ]
        )
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def chart(
    rows: Sequence[Row], metric: str, bounds: Sequence[str | None], title: str
) -> Figure:
    """Plot bars with standard deviations, a dot per seed, and lines for the bounds.

    Args:
        rows (Sequence[Row]): Rows from top to bottom. Those without a result are left
            out.
        metric (str): Name of the metric.
        bounds (Sequence[str | None]): Names of the rows whose mean is also drawn as a
            line.
        title (str): Title of the chart.

    Returns:
        Figure: The chart.
    """
    rows = [row for row in rows if row.values]
    figure = Figure(figsize=(7, 1.4 + 0.36 * len(rows)), layout="constrained")
    axes = figure.add_subplot()
    spread = [0 if math.isnan(row.std) else row.std for row in rows]
    axes.barh(
        [row.name for row in rows],
        [row.mean for row in rows],
        xerr=spread,
        color="#9ecae1",
        ecolor="#333333",
        capsize=3,
    )
    for y, row in enumerate(rows):
        axes.plot(row.values, [y] * len(row.values), "o", color="#08519c", ms=3.5)
        if row.name in bounds:
            axes.axvline(row.mean, color="#777777", ls="--", lw=1, zorder=0)
    axes.invert_yaxis()
    axes.set_xlabel(metric)
    axes.set_title(title, fontsize="medium")
    axes.spines[["top", "right"]].set_visible(False)
    return figure


def write_csv(path: Path, runs: Sequence[Run], labels: dict[str, str]) -> None:
    """Write a line for every run of a row, from which the table can be computed."""
    runs = [run for run in runs if run.row in labels]
    metrics = dict.fromkeys(m for r in runs if r.result for m in r.result.metrics)
    heads = ["row", "target_labels", "seed", *metrics, "step_time_s", "peak_memory_mib"]
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, [*heads, "checkpoint", "error"])
        writer.writeheader()
        for run in runs:
            line = dict(row=run.row, target_labels=labels[run.row], seed=run.seed)
            if run.result is not None:
                line.update(
                    run.result.metrics,
                    step_time_s=run.result.step_time,
                    peak_memory_mib=run.result.peak_memory,
                    checkpoint=run.result.checkpoint,
                )
            writer.writerow(dict(line, error=run.error))


def machine(jobs: int) -> str:
    """Describe the machine and how it was used."""
    return (
        f"{device_name()}, {jobs} at once with {threads_per_job(jobs)} threads each, "
        f"torch {torch.__version__}"
    )


def failures(runs: Sequence[Run]) -> str:
    """List in Markdown what failed and why; empty if nothing did."""
    return "".join(
        f"\nFailed: {run.row}, seed {run.seed}.\n\n```\n{run.error.rstrip()}\n```\n"
        for run in runs
        if run.error
    )


def run_benchmark(
    paths: Sequence[str],
    work_dir: Path,
    command: str,
    init_path: str | None = None,
    pair: str | None = None,
    seeds: Sequence[int] = (0, 1, 2),
    iters: int | None = None,
    init_iters: int | None = None,
    jobs: int = 1,
    lower: str | None = None,
    upper: str | None = None,
    options: dict | None = None,
) -> tuple[str, bool]:
    """Train all rows, and write the table, a CSV file, and a chart.

    Args:
        paths (Sequence[str]): The config of each row.
        work_dir (Path): Receives results.md, results.csv (one line per run),
            results.png, and a folder for every run.
        command (str): The command line that the report shows.
        init_path (str, optional): Config that is trained once for each seed; its rows
            start from the last checkpoint. Defaults to None: the ``load_from`` of the
            rows.
        pair (str, optional): Pair of domains to use; see :func:`with_pair`. Defaults to
            None.
        seeds (Sequence[int]): The seeds. Defaults to (0, 1, 2).
        iters (int, optional): Iterations of every row. Defaults to None: the config's.
        init_iters (int, optional): Iterations of ``init_path``. Defaults to None.
        jobs (int): Number of simultaneous runs. Defaults to 1.
        lower (str, optional): Row where the gap begins. Defaults to None: the one named
            :data:`LOWER_ROW`.
        upper (str, optional): Row where the gap ends. Defaults to None: the one named
            :data:`UPPER_ROW`.
        options (dict, optional): Options to merge into every config. Defaults to None.

    Returns:
        tuple[str, bool]: The report in Markdown, and whether all runs succeeded.

    Raises:
        ValueError: If the rows do not fit together, or an option fits no config.
    """
    names = row_names(paths)
    unknown = {row for row in (lower, upper) if row is not None} - {*names}
    if unknown:
        raise ValueError(f"there is no row {sorted(unknown)}, only {names}")
    lower = lower or find_bound(names, LOWER_ROW)
    upper = upper or find_bound(names, UPPER_ROW)

    load = partial(load_row, pair=pair, options=options)
    init = load(init_path, iters=init_iters) if init_path else None
    configs = (load(path, iters=iters) for path in paths)
    rows = dict(zip(names, configs, strict=True))
    metric = common_value(rows, "target_metric", lambda cfg: cfg.get("target_metric"))
    length = common_value(rows, "length of training (see --iters)", budget)

    runs = run_all(rows, seeds, metric, work_dir, init, jobs)

    labels = {name: target_labels(cfg) for name, cfg in rows.items()}
    table = summarize(runs, names, metric, lower, upper)
    title = Path(pair).stem if pair else Path(paths[0]).stem.split("_")[0]
    start = (
        f", from a source model of {budget(init)} with the same seed" if init else ""
    )
    shown_seeds = ", ".join(map(str, seeds))
    report = (
        f"# {title}: {metric}\n\n"
        f"Mean ± sample standard deviation over the seeds {shown_seeds}; last "
        f"checkpoint after {length}{start}.\n\n"
        f"{machine(jobs)}\n\n"
        f"```\n{command}\n```\n\n"
        f"{markdown(table, labels, metric)}{gap_note(runs, lower, upper, metric)}"
        f"{failures(runs)}"
    )
    (work_dir / "results.md").write_text(report, encoding="utf-8")
    write_csv(work_dir / "results.csv", runs, labels)
    bounds, subject = (lower, upper), f"{title}, {length}, seeds {shown_seeds}"
    chart(table, metric, bounds, subject).savefig(work_dir / "results.png", dpi=150)
    return report, not any(run.error for run in runs)
