"""Scores of checkpoints that need no labels, and how well they choose a model."""

from __future__ import annotations

import csv
import math
import statistics
from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.runner import Runner
from scipy.stats import spearmanr

from ..engine import AtomicLocalBackend
from .quiet import quiet
from .target_people import people_of
from .testing import set_checkpoint
from .training import build_runner

#: How the names of scores without labels begin.
PREFIX = "label_free/"
#: The score that warns of harm if it is lower after adaptation than before;
#: docs/choosing.md says how often it is right.
WARNING_SCORE = "consistency"
#: The largest number of people, and their batch size, if a run has no validation set.
PEOPLE, BATCH_SIZE = 1000, 32
#: Number of people of each domain whose features a benchmark compares.
FEATURES = 500
#: What identifies a checkpoint in a table.
KEYS = ("seed", "row", "checkpoint")


def score(
    cfg: Config,
    checkpoint: str | Path,
    work_dir: str | Path,
    network: str | None = None,
    **options: Any,
) -> dict[str, float]:
    """Evaluate a checkpoint on the validation set, with and without its labels.

    A config without a validation set is evaluated on people of its target, up to 1000
    of them and evenly spread, without labels.

    Args:
        cfg (Config): The config of the run.
        checkpoint (str | Path): Its checkpoint, or one that it can start from.
        work_dir (str | Path): Receives the log.
        network (str, optional): ``'student'`` or ``'teacher'``; a checkpoint to start
            from has no teacher. Defaults to None: the one that the config deploys.
        options (Any): Options of :class:`~mmpose_da.engine.LabelFreeScoresHook`.

    Returns:
        dict[str, float]: The metrics, and those of
        :class:`~mmpose_da.engine.LabelFreeScoresHook`.

    Raises:
        ValueError: If there is neither a validation set nor a target, or the checkpoint
            does not match.
    """
    cfg = deepcopy(cfg)
    cfg.work_dir = str(work_dir)
    cfg.resume = False
    cfg.visualizer = None  # a named one may be that of another run in this process
    if network is not None:
        cfg.model.test_cfg = dict(cfg.model.get("test_cfg") or {}, network=network)
    if not cfg.get("val_dataloader"):
        _validate_on_target(cfg)
    set_checkpoint(cfg, str(checkpoint))
    hooks = [hook for hook in cfg.get("custom_hooks") or [] if not _scores(hook)]
    cfg.custom_hooks = [*hooks, dict(type="LabelFreeScoresHook", **options)]
    runner: Runner = build_runner(cfg)
    return runner.val()


def _validate_on_target(cfg: Config) -> None:
    """Validate on target people without labels, so without a metric, in place."""
    loader = cfg.train_dataloader
    workers = loader.get("num_workers", 0)
    cfg.val_dataloader = dict(
        batch_size=BATCH_SIZE,
        num_workers=workers,
        persistent_workers=workers > 0,
        sampler=dict(type="DefaultSampler", shuffle=False, round_up=False),
        dataset=people_of(cfg, "target", PEOPLE),
    )
    cfg.val_cfg = dict(type="ValLoop")
    cfg.val_evaluator = dict(type="Evaluator", metrics=[])
    # Only metrics read the predictions with the flip test.
    cfg.model.test_cfg = dict(cfg.model.get("test_cfg") or {}, flip_test=False)


def quiet_score(
    cfg: Config,
    checkpoint: str | Path,
    work_dir: str | Path,
    network: str | None = None,
) -> dict[str, float]:
    """Score as :func:`score` does, without its messages."""
    with quiet():
        silent = Config(dict(cfg.to_dict(), log_level="WARNING"))
        return score(silent, checkpoint, work_dir, network)


def harm_warning(before: Mapping[str, float], after: Mapping[str, float]) -> str | None:
    """Say that adaptation may have done harm, if :data:`WARNING_SCORE` went down.

    Args:
        before (Mapping[str, float]): The scores of the model that was adapted.
        after (Mapping[str, float]): Those of the adapted model.

    Returns:
        str, optional: The warning. None if there is nothing to warn of, or the score is
        not known.
    """
    name = PREFIX + WARNING_SCORE
    values = before.get(name, math.nan), after.get(name, math.nan)
    if not values[1] < values[0]:
        return None
    return (
        f"Adaptation may have done harm: on images of the target, {WARNING_SCORE} fell "
        f"from {values[0]:.1f} to {values[1]:.1f}. Compare predictions of both models "
        "before you use the adapted one."
    )


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
                logs = path.parent / "logs" / "_".join(keys)
                found = score(cfg, checkpoint, logs, num_features=FEATURES)
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
    names = list(dict.fromkeys(name for line in lines for name in line))
    text = StringIO()
    writer = csv.DictWriter(text, names, lineterminator="\n")
    writer.writeheader()
    writer.writerows(lines)
    AtomicLocalBackend().put_text(text.getvalue(), path)


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
