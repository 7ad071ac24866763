"""Scores of checkpoints that need no labels, and how well they choose a model."""

from __future__ import annotations

import csv
import math
import statistics
from collections.abc import Iterator, Sequence
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path

import mmengine
from mmengine.config import Config
from mmengine.runner import Runner
from scipy.stats import spearmanr

from .testing import set_checkpoint
from .training import build_runner

#: How the names of scores without labels begin.
PREFIX = "label_free/"
#: What identifies a checkpoint in a table.
KEYS = ("seed", "row", "checkpoint")


def score(
    cfg: Config, checkpoint: str | Path, work_dir: str | Path
) -> dict[str, float]:
    """Evaluate a checkpoint on the validation set, with and without its labels.

    Args:
        cfg (Config): The config of the run.
        checkpoint (str | Path): Its checkpoint.
        work_dir (str | Path): Receives the log.

    Returns:
        dict[str, float]: The metrics, and those of
        :class:`~mmpose_da.engine.LabelFreeScoresHook`.
    """
    cfg = deepcopy(cfg)
    cfg.work_dir = str(work_dir)
    cfg.resume = False
    set_checkpoint(cfg, str(checkpoint))
    hooks = [hook for hook in cfg.get("custom_hooks") or [] if not _scores(hook)]
    cfg.custom_hooks = [*hooks, dict(type="LabelFreeScoresHook")]
    runner: Runner = build_runner(cfg)
    return runner.val()


def _scores(hook: dict) -> bool:
    return hook["type"] == "LabelFreeScoresHook"


def score_benchmark(
    work_dir: str | Path, metric: str, path: str | Path
) -> Iterator[dict[str, str]]:
    """Score all checkpoints of a benchmark, and write them to a CSV file.

    Checkpoints that the file has already are not scored again.

    Args:
        work_dir (str | Path): Work directory of the benchmark; see
            :func:`~mmpose_da.apis.benchmark.run_benchmark`.
        metric (str): The metric with labels to compare with.
        path (str | Path): The CSV file.

    Yields:
        dict[str, str]: For each checkpoint its ``seed``, ``row``, and ``checkpoint``,
        the metric, and the scores.

    Raises:
        ValueError: If there are no finished runs, or the metric is unknown.
    """
    path = Path(path)
    done = read_scores(path) if path.exists() else []
    known = {tuple(line[key] for key in KEYS): line for line in done}
    runs = sorted(Path(work_dir).glob("seed_*/*/result.json"))
    if not runs:
        raise ValueError(f"'{work_dir}' has no finished runs, seed_*/ROW/result.json")
    for result in runs:
        folder = result.parent
        if not (folder / "input/config.py").exists():
            continue
        for checkpoint in sorted(folder.glob("iter_*.pth")):
            keys = folder.parent.name, folder.name, checkpoint.stem
            if keys not in known:
                cfg = Config.fromfile(folder / "input/config.py")
                found = score(cfg, checkpoint, path.parent / "logs" / "_".join(keys))
                if metric not in found:
                    raise ValueError(
                        f"there is no metric '{metric}'; the metrics are {list(found)}"
                    )
                scores = {k: v for k, v in found.items() if k.startswith(PREFIX)}
                line = dict(zip(KEYS, keys, strict=True), **{metric: found[metric]})
                done.append({k: str(v) for k, v in (line | scores).items()})
                known[keys] = done[-1]
                write_scores(path, done)
            yield known[keys]


def read_scores(path: str | Path) -> list[dict[str, str]]:
    """Read a file that :func:`write_scores` wrote."""
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def write_scores(path: str | Path, lines: Sequence[dict[str, str]]) -> None:
    """Write a CSV file with the columns of all lines."""
    path = Path(path)
    mmengine.mkdir_or_exist(str(path.parent))
    names = list(dict.fromkeys(name for line in lines for name in line))
    partial = path.with_suffix(".tmp")
    with open(partial, "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, names)
        writer.writeheader()
        writer.writerows(lines)
    partial.replace(path)


@dataclass(frozen=True)
class ScoreQuality:
    """How well a score chooses a model, on average over the seeds. Unknown is nan.

    Attributes:
        name (str): Name of the score.
        correlation (float): Rank correlation of score and metric.
        regret (float): What choosing the model with the highest score costs: the best
            metric, minus that of the model that is chosen.
        found_harm (float): Share of the models with a lower metric than the start whose
            score is lower, too.
        false_alarms (float): Share of the other models whose score is lower than that
            of the start.
    """

    name: str
    correlation: float
    regret: float
    found_harm: float
    false_alarms: float


def score_quality(
    lines: Sequence[dict[str, str]], metric: str, start: str
) -> list[ScoreQuality]:
    """Compare scores with a metric.

    Args:
        lines (Sequence[dict[str, str]]): Checkpoints; see :func:`score_benchmark`.
        metric (str): The metric, where higher is better.
        start (str): Row of the model that an adaptation should not make worse. Its last
            checkpoint counts.

    Returns:
        list[ScoreQuality]: Of each score, the highest correlation first.

    Raises:
        ValueError: If a seed does not have the row ``start``.
    """
    seeds = sorted({line["seed"] for line in lines})
    names = [n for n in dict.fromkeys(k for ln in lines for k in ln) if PREFIX in n]
    found = []
    for name in names:
        correlations, regrets = [], []
        harmed: list[bool] = []
        alarmed: list[bool] = []
        for seed in seeds:
            of_seed = [line for line in lines if line["seed"] == seed]
            starts = [line for line in of_seed if line["row"] == start]
            if not starts:
                raise ValueError(f"{seed} has no row '{start}' to compare with")
            first = max(starts, key=_iterations)
            scored = [line for line in of_seed if line.get(name)]
            pairs = [(float(line[name]), float(line[metric])) for line in scored]
            if len({value for value, _ in pairs}) < 2:
                continue
            values, truth = zip(*pairs, strict=True)
            correlations.append(float(spearmanr(values, truth).statistic))
            regrets.append(max(truth) - max(pairs)[1])
            if first.get(name):
                for (value, true), line in zip(pairs, scored, strict=True):
                    if line["row"] != start:
                        harmed.append(true < float(first[metric]))
                        alarmed.append(value < float(first[name]))
        found.append(
            ScoreQuality(
                name.removeprefix(PREFIX),
                _mean(correlations),
                _mean(regrets),
                _mean([a for a, h in zip(alarmed, harmed, strict=True) if h]),
                _mean([a for a, h in zip(alarmed, harmed, strict=True) if not h]),
            )
        )
    return sorted(found, key=lambda quality: -quality.correlation)


def _mean(values: Sequence[float]) -> float:
    return statistics.fmean(values) if values else math.nan


def _iterations(line: dict[str, str]) -> int:
    return int(line["checkpoint"].rpartition("_")[2])
