from __future__ import annotations

import logging
from collections.abc import Sequence

import numpy as np
import torch
from mmengine.evaluator import BaseMetric
from mmengine.logging import print_log
from mmpose.registry import METRICS


@METRICS.register_module()
class PartLabelAP(BaseMetric):
    """Average precision of which joints an image shows, over the joints.

    The samples are ranked by the score of a joint. Its average precision is the mean of
    the precision at the rank of each sample that shows it, with tied samples at one
    rank. The result ``part mAP`` is the mean over the joints that some samples show and
    others do not, in percent; the number of these joints is ``part joints``.

    Location maps can only be as good as this classification. It needs samples whose
    labels vary, such as those of :class:`~mmpose_da.datasets.WholeAndPartCrops`, and
    keypoint scores that say whether a joint is there. Every head has some; those of
    :class:`~mmpose_da.models.heads.LocationFreeHead` are probabilities of just that.
    Samples without part labels are ignored.
    """

    def process(self, data_batch: Sequence[dict], data_samples: Sequence[dict]) -> None:
        """Process a batch of predictions.

        Args:
            data_batch (Sequence[dict]): Not used.
            data_samples (Sequence[dict]): Samples with
                ``pred_instances.part_scores`` (1, R, K), or ``keypoint_scores`` (1, K)
                if the image is the part; and optionally ``gt_instance_labels`` with
                ``part_labels`` and ``part_weights``, each (R, K).

        Raises:
            ValueError: If parts of an image are labeled, but not scored.
        """
        for sample in data_samples:
            labels = sample.get("gt_instance_labels", {})
            if "part_labels" not in labels:
                continue
            found = sample["pred_instances"]
            scores = found["keypoint_scores"]
            if "part_regions" in labels:
                if "part_scores" not in found:
                    raise ValueError(
                        "the head does not classify parts of an image: use "
                        "RandomPartCrop instead of MarkPartCrops in `part_pipeline`"
                    )
                [scores] = found["part_scores"]
            shown, known = (
                np.asarray(labels[name].cpu())
                for name in ("part_labels", "part_weights")
            )
            rows = zip(
                np.asarray(torch.as_tensor(scores).cpu()), shown, known, strict=True
            )
            self.results += [
                dict(scores=score, labels=show > 0.5, known=know > 0)
                for score, show, know in rows
            ]

    def compute_metrics(self, results: list[dict]) -> dict[str, float]:
        """Compute the mean average precision.

        Args:
            results (list[dict]): Scores, labels, and whether they are known, each (K,).

        Returns:
            dict[str, float]: ``part mAP`` and ``part joints``; empty if the part labels
            of no joint vary.
        """
        scores, labels, known = (
            np.array([result[key] for result in results])
            for key in ("scores", "labels", "known")
        )
        values = []
        for joint in range(labels.shape[1] if len(results) else 0):
            of_joint = known[:, joint]
            shown = labels[of_joint, joint]
            if shown.any() and not shown.all():
                values.append(average_precision(scores[of_joint, joint], shown))
        if not values:
            print_log(
                "PartLabelAP: there are no samples whose part labels vary; use "
                "WholeAndPartCrops as the evaluation set",
                "current",
                logging.WARNING,
            )
            return {}
        mean = 100 * float(np.mean(values))
        return {"part mAP": mean, "part joints": float(len(values))}


def average_precision(scores: np.ndarray, positive: np.ndarray) -> float:
    """Return the average precision of a ranking.

    Args:
        scores (np.ndarray): Scores (N,).
        positive (np.ndarray): Which samples are positive (N,), at least one.

    Returns:
        float: In (0, 1].
    """
    order = np.argsort(-scores, kind="stable")
    scores, positive = scores[order], positive[order]
    last = np.append(np.flatnonzero(np.diff(scores)), len(scores) - 1)  # of each tie
    found = np.cumsum(positive)[last]
    precision = found / (last + 1)
    return float((np.diff(found, prepend=0) * precision).sum() / found[-1])
