"""Plots of how confident models are, of all joints and of each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

BINS = 40
#: The range that is drawn for each joint, in percent of the people.
RANGE = (10, 90)
#: Size of the figure: narrow, so that it can be read on a phone.
WIDTH, HEIGHT, ROW_INCHES = 6.0, 3.2, 0.26


def plot_confidence(
    confidence: Mapping[str, np.ndarray],
    joints: Sequence[str],
    path: str | Path,
    threshold: float | None = None,
) -> None:
    """Plot the distribution of the confidence, and its median and range by joint.

    Args:
        confidence (Mapping[str, np.ndarray]): Confidence (N, K) by title of the model.
        joints (Sequence[str]): Names of the K joints.
        path (str | Path): Output image; the suffix determines the format.
        threshold (float, optional): Confidence from which on joints become
            pseudo-labels. Defaults to None: not drawn.

    Raises:
        ValueError: If there is no confidence, or not one for each joint.
    """
    shapes = {title: np.shape(values) for title, values in confidence.items()}
    if not shapes or any(s[1:] != (len(joints),) or not s[0] for s in shapes.values()):
        raise ValueError(f"confidence must be (N, {len(joints)}), but is {shapes}")
    heights = (HEIGHT, 1 + ROW_INCHES * len(joints))
    figure = Figure(figsize=(WIDTH, sum(heights)), layout="constrained")
    distribution, by_joint = figure.subplots(2, 1, height_ratios=heights)
    every = np.concatenate([values.ravel() for values in confidence.values()])
    edges = np.histogram_bin_edges(every, BINS)
    rows = np.arange(len(joints))
    for index, (title, values) in enumerate(confidence.items()):
        share = np.full(values.size, 100 / values.size)
        style = dict(histtype="step", lw=1.6, color=f"C{index}", label=title)
        distribution.hist(values.ravel(), edges, weights=share, **style)
        low, middle, high = np.percentile(values, (RANGE[0], 50, RANGE[1]), axis=0)
        place = rows + 0.22 * (index - (len(confidence) - 1) / 2)
        by_joint.hlines(place, low, high, color=f"C{index}", lw=2, alpha=0.6)
        by_joint.plot(middle, place, "o", ms=4, color=f"C{index}", label=title)
    for axis in (distribution, by_joint):
        if threshold is not None:
            axis.axvline(threshold, color="gray", ls="--", label="threshold")
        axis.set_xlabel("confidence")
        axis.grid(alpha=0.3)
    distribution.set(ylabel="share of the joints (%)", title="all joints")
    distribution.legend(fontsize="small")
    by_joint.set(title=f"median, and {RANGE[0]} to {RANGE[1]} % of the people")
    by_joint.set_yticks(rows, labels=joints, fontsize="small")
    by_joint.invert_yaxis()
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=130)
