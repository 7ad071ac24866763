"""Plots of training curves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

PANEL_INCHES = (4.8, 3.8)


def plot_training_curves(
    runs: Mapping[str, Sequence[dict]], metric: str | None, path: str | Path
) -> None:
    """Plot the loss terms of each run, and the metric of all runs, if there is one.

    Args:
        runs (Mapping[str, Sequence[dict]]): The lines of MMEngine's ``scalars.json`` by
            name of the run. A line has a ``step`` (iteration), and either loss terms or
            validation metrics. A loss term has ``loss`` in its name. Their sum,
            ``loss``, is not drawn if there are any others.
        metric (str, optional): Name of the metric. None: only the losses.
        path (str | Path): Output image; the suffix determines the format.

    Raises:
        ValueError: If no run has the metric, or a run has no loss.
    """
    if metric is not None and not any(
        metric in line for lines in runs.values() for line in lines
    ):
        keys = {key for lines in runs.values() for line in lines for key in line}
        raise ValueError(f"no run has the metric '{metric}'; they have {sorted(keys)}")
    width, height = PANEL_INCHES
    count = len(runs) + (metric is not None)
    figure = Figure(figsize=(width * count, height), layout="constrained")
    axes = figure.subplots(1, count, squeeze=False)[0]
    for axis, (name, lines) in zip(axes[: len(runs)], runs.items(), strict=True):
        terms = loss_terms(lines)
        if not terms:
            raise ValueError(f"the run '{name}' has no line with a loss")
        for term in terms:
            _plot(axis, lines, term, label=term)
        # Terms differ by orders of magnitude. A term that ramps up from 0 appears once
        # it is positive.
        axis.set(title=f"losses: {name}", yscale="log")
        if metric is not None:
            _plot(axes[-1], lines, metric, label=name, marker="o")
    if metric is not None:
        axes[-1].set(title=metric)
    for axis in axes:
        axis.set_xlabel("iteration")
        axis.grid(alpha=0.3)
        axis.legend(fontsize="small")
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=150)


def loss_terms(lines: Sequence[dict]) -> list[str]:
    """Return the names of the loss terms, or ``loss`` if there are no others."""
    names = dict.fromkeys(key for line in lines for key in line if "loss" in key)
    return [name for name in names if name != "loss"] or list(names)


def _plot(axis: Axes, lines: Sequence[dict], key: str, **style: Any) -> None:
    points = [(line["step"], line[key]) for line in lines if key in line]
    if points:
        axis.plot(*zip(*points, strict=True), lw=1.3, ms=4, **style)
