"""Does the confidence of pseudo-labels rank them? For sets whose labels are known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from scipy.stats import spearmanr

from ..datasets import MixedDomainDataset, PseudoLabels

#: Shares of the most confident people at which the mean error is given.
SHARES = (0.2, 0.4, 0.6, 0.8, 1.0)


@dataclass(frozen=True)
class LabelQuality:
    """Errors of n people with pseudo-labels.

    Attributes:
        scores (np.ndarray): Confidence of each person (n,).
        errors (np.ndarray): Mean distance from the labels (n,), in percent of the
            longer side of the person's box, over joints with a label.
        kept (np.ndarray): Whether each is trained on (n,), or was dropped.
    """

    scores: np.ndarray
    errors: np.ndarray
    kept: np.ndarray

    @property
    def rank_correlation(self) -> float:
        """Spearman's correlation of score and error; -1 is a perfect ranking."""
        return float(spearmanr(self.scores, self.errors).statistic)

    @property
    def kept_error(self) -> float:
        """The mean error of the people that are kept; nan without any."""
        return _mean(self.errors[self.kept])

    @property
    def dropped_error(self) -> float:
        """The mean error of the people that were dropped; nan without any."""
        return _mean(self.errors[~self.kept])

    def mean_error(self, share: float) -> float:
        """Return the mean error of a share of people, the most confident first."""
        count = max(1, round(share * len(self.scores)))
        return float(
            self.errors[np.argsort(-self.scores, kind="stable")][:count].mean()
        )

    def lowest_error(self, share: float) -> float:
        """Return the same for a perfect ranking."""
        count = max(1, round(share * len(self.errors)))
        return float(np.sort(self.errors)[:count].mean())


def label_quality(labels: PseudoLabels, dataset: MixedDomainDataset) -> LabelQuality:
    """Compare pseudo-labels, also the dropped ones, with the labels of the people.

    Args:
        labels (PseudoLabels): The pseudo-labels, with or without depth.
        dataset (MixedDomainDataset): The labeled people, without a pipeline, in the
            joints of the pseudo-labels.

    Returns:
        LabelQuality: The errors, in the order of the pseudo-labels that have a labeled
        joint. With depth, they are distances in 3D, in image pixels as all coordinates.

    Raises:
        ValueError: If the dataset has none of the people.
    """
    known = {}
    for index in range(len(dataset)):
        info = dataset.get_data_info(index)
        known[int(info["id"])] = info
    columns = [dataset.metainfo["keypoint_name2id"][name] for name in labels.joints]
    rows = []
    for part in filter(None, (labels, labels.dropped)):
        for identity, points, score in zip(
            part.ids, part.keypoints, part.scores, strict=True
        ):
            error = _error(points, known.get(identity), columns)
            if error is not None:
                rows.append((score, error, part is labels))
    if not rows:
        raise ValueError("none of the people with pseudo-labels has a label")
    return LabelQuality(*map(np.array, zip(*rows, strict=True)))


def _error(
    points: np.ndarray, info: dict | None, columns: Sequence[int]
) -> float | None:
    """Return the error of a person, or None without a labeled joint."""
    if info is None:
        return None
    truth = info["keypoints"][0, columns]
    visible = info["keypoints_visible"][0, columns]
    visible = (visible if visible.ndim == 1 else visible[:, 0]) > 0
    if points.shape[-1] == 3 and "depth" in info:
        truth = np.column_stack([truth, info["depth"][0, columns]])
        visible &= info["depth_visible"][0, columns] > 0
    if not visible.any():
        return None
    distance = np.linalg.norm(points[:, : truth.shape[1]] - truth, axis=1)
    side = (info["bbox"][0, 2:] - info["bbox"][0, :2]).max()
    return float(100 * distance[visible].mean() / side)


def _mean(errors: np.ndarray) -> float:
    return float(errors.mean()) if len(errors) else float("nan")


def plot_label_quality(quality: LabelQuality, path: str | Path) -> None:
    """Plot error against confidence, and the mean error of the most confident share.

    Args:
        quality (LabelQuality): The errors.
        path (str | Path): Output image; the suffix determines the format.
    """
    figure = Figure(figsize=(9, 3.8), layout="constrained")
    scatter, curve = figure.subplots(1, 2)
    scatter.plot(quality.scores, quality.errors, ".", ms=3, alpha=0.3)
    scatter.set(
        xlabel="confidence of a person",
        ylabel="error (% of the box)",
        title=f"rank correlation {quality.rank_correlation:.2f}",
    )
    shares = np.linspace(0.05, 1, 39)
    for label, error in (
        ("most confident first", quality.mean_error),
        ("perfect ranking", quality.lowest_error),
    ):
        curve.plot(100 * shares, [error(share) for share in shares], label=label)
    curve.axhline(quality.errors.mean(), color="gray", ls="--", label="random")
    curve.set(xlabel="share of people (%)", ylabel="mean error (% of the box)", ylim=0)
    curve.legend(fontsize="small")
    for axes in (scatter, curve):
        axes.grid(alpha=0.3)
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=130)
