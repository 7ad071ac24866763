"""MMPose's metrics over the joints that the source and target domains share.

A joint that the source does not provide is not learned from it, and its error says
nothing about the adaptation. These metrics leave it out, and give the number of
remaining joints in their names.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from typing import Any

import numpy as np
from mmengine.evaluator import BaseMetric
from mmpose.evaluation.functional import keypoint_pck_accuracy, transform_ann
from mmpose.evaluation.metrics import CocoMetric, MpiiPCKAccuracy, PCKAccuracy
from mmpose.registry import METRICS

from ..structures import joint_definition


class _SharedJoints(BaseMetric):
    """Masks joints that are not shared in MMPose's PCK metrics.

    Predictions whose joint definition differs from that of the evaluation set are
    reordered by joint name. Samples without keypoints are ignored.
    """

    def __init__(
        self,
        joints: Sequence[str],
        pred_joints: str | dict | None = None,
        exchanged: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.joints = list(joints)
        self.pred_joints = joint_definition(pred_joints) if pred_joints else None
        self.exchanged = exchanged

    def process(self, data_batch: Sequence[dict], data_samples: Sequence[dict]) -> None:
        labeled = [s for s in data_samples if "keypoints" in s["gt_instances"]]
        super().process(data_batch, [self._in_order(s) for s in labeled])

    def _in_order(self, sample: dict) -> dict:
        """Return a sample with predictions in the joint order of the evaluation set."""
        predicted = sample["pred_instances"]["keypoints"]
        count, name = (self.dataset_meta[k] for k in ("num_keypoints", "dataset_name"))
        if self.pred_joints is None:
            if predicted.shape[1] != count:
                raise ValueError(
                    f"the model predicts {predicted.shape[1]} joints, but the "
                    f"evaluation set '{name}' has {count}: set "
                    "`val_evaluator.pred_joints` and `test_evaluator.pred_joints` to "
                    "`model.joints` to match the joints by name"
                )
            return sample
        given = joint_ids(self.joints, self.pred_joints)
        wanted = joint_ids(self.joints, self.dataset_meta)
        keypoints = np.zeros((len(predicted), count, predicted.shape[2]))
        keypoints[:, wanted] = np.asarray(predicted)[:, given]
        instances = dict(sample["pred_instances"], keypoints=keypoints)
        return dict(sample, pred_instances=instances)

    def _shared_only(self, results: list[dict]) -> list[dict]:
        ids = joint_ids(self.joints, self.dataset_meta)
        shared = np.zeros(self.dataset_meta["num_keypoints"], bool)
        shared[ids] = True
        return [dict(result, mask=result["mask"] & shared) for result in results]

    def _part_means(self, accuracy: np.ndarray) -> dict[str, float]:
        """Compute the percentage of each part, averaged over left and right.

        A joint without labels, for which MMPose returns -1, is left out of its part. A
        part without labeled joints is left out as well.
        """
        ids = self.dataset_meta["keypoint_name2id"]
        parts: dict[str, list[float]] = {}
        for joint in self.joints:
            part = joint.replace("left_", "").replace("right_", "")
            if accuracy[ids[joint]] >= 0:
                name = part.replace("_", " ").capitalize()
                parts.setdefault(name, []).append(accuracy[ids[joint]])
        return {part: 100 * float(np.mean(values)) for part, values in parts.items()}

    def _exchanged(
        self, results: list[dict], normalizer: str, offset: float = 0.0
    ) -> dict[str, float]:
        """Compute the percentage of joints at the place of the other side's.

        They are wrong, and would be correct for the same joint of the other side.
        """
        if not self.exchanged:
            return {}
        predictions, labels, mask, size = _arrays(results, normalizer)

        def correct(labels: np.ndarray, labeled: np.ndarray) -> np.ndarray:
            distances = (predictions + offset - labels) / size[:, None]
            return (np.linalg.norm(distances, axis=-1) <= self.thr) & labeled

        other = list(self.dataset_meta["flip_indices"])
        swapped = correct(labels[:, other], mask[:, other]) & ~correct(labels, mask)
        name = f"exchanged ({len(self.joints)} joints)"
        return {name: 100 * float(swapped[mask].mean())} if mask.any() else {}


@METRICS.register_module()
class SharedJointsMpiiPCK(_SharedJoints, MpiiPCKAccuracy):
    """MMPose's ``MpiiPCKAccuracy`` (PCKh@0.5) over the shared joints.

    The mean is named ``PCKh@0.5 (12 joints)``, with the number of shared joints. As in
    MPII's own protocol, it never includes the pelvis and the thorax.

    ``MpiiPCKAccuracy`` expects 1-based joints, as MMPose's ``MpiiDataset`` reads them.
    The joints of a :class:`~mmpose_da.datasets.ZeroBasedMpiiDataset` are 0-based, as
    its metainfo indicates. Both are evaluated correctly.

    Args:
        joints (Sequence[str]): Names of the shared joints.
        pred_joints (str | dict, optional): The joint definition of the predictions; see
            :func:`~mmpose_da.structures.joint_metainfo`. Defaults to None: that of the
            evaluation set.
        more_thr (Sequence[float]): Further thresholds for the mean, such as ``(1.0, )``
            for ``PCKh@1 (12 joints)``. Defaults to ().
        exchanged (bool): Whether to add ``exchanged (12 joints)``, the percentage of
            joints that are wrong and would be correct for the same joint of the other
            side. Defaults to False.
        kwargs: See :class:`mmpose.evaluation.MpiiPCKAccuracy`.
    """

    def __init__(
        self, joints: Sequence[str], more_thr: Sequence[float] = (), **kwargs: Any
    ) -> None:
        super().__init__(joints=joints, **kwargs)
        self.more_thr = tuple(more_thr)

    def compute_metrics(self, results: list[dict]) -> dict[str, float]:
        results = self._shared_only(results)
        if self.dataset_meta.get("zero_based"):
            results = [dict(r, gt_coords=r["gt_coords"] + 1) for r in results]
        metrics = super().compute_metrics(results)
        accuracy, _, _ = _pck(results, self.thr, "head_size", offset=1)
        parts = self._part_means(accuracy)
        if "Head top" in parts:  # as MMPose names it
            parts["Head"] = parts.pop("Head top")
        shared = {
            f"{part} PCK": value
            for part, value in parts.items()
            if f"{part} PCK" in metrics
        }
        count = f"({len(self.joints)} joints)"
        shared[f"PCKh@{self.thr:g} {count}"] = float(metrics["PCK"])
        shared[f"PCKh@0.1 {count}"] = float(metrics["PCK@0.1"])
        for thr in self.more_thr:
            other = copy(self)
            other.thr = thr
            metrics = super(SharedJointsMpiiPCK, other).compute_metrics(results)
            shared[f"PCKh@{thr:g} {count}"] = float(metrics["PCK"])
        return shared | self._exchanged(results, "head_size", offset=1)


@METRICS.register_module()
class SharedJointsPCK(_SharedJoints, PCKAccuracy):
    """PCK normalized by the longer side of the box, in percent, over shared joints.

    Computes the PCK of each part, averaged over left and right (``Ankle PCK@0.1``), and
    the mean over the joints (``PCK@0.1 (12 joints)``).

    Args:
        thr (float): Threshold, as a fraction of the box. Defaults to 0.1.
        joints, pred_joints, exchanged: See :class:`SharedJointsMpiiPCK`.
        kwargs: See :class:`mmpose.evaluation.PCKAccuracy`.
    """

    def __init__(self, joints: Sequence[str], thr: float = 0.1, **kwargs: Any) -> None:
        super().__init__(joints=joints, thr=thr, norm_item="bbox", **kwargs)

    def compute_metrics(self, results: list[dict]) -> dict[str, float]:
        results = self._shared_only(results)
        accuracy, mean, _ = _pck(results, self.thr, "bbox_size")
        metrics = {
            f"{part} PCK@{self.thr:g}": value
            for part, value in self._part_means(accuracy).items()
        }
        metrics[f"PCK@{self.thr:g} ({len(self.joints)} joints)"] = 100.0 * float(mean)
        return metrics | self._exchanged(results, "bbox_size")


@METRICS.register_module()
class SharedJointsCocoMetric(CocoMetric):
    """MMPose's ``CocoMetric`` over the shared joints.

    CocoMetric's converters convert ground truth and predictions to the shared joints. A
    person without a label on any of them is ignored, just as COCO ignores people
    without labels. The results are named ``coco (12 joints)/AP`` and so on.

    Args:
        joints (Sequence[str]): Names of the shared joints.
        pred_joints (str | dict): The joint definition of the predictions; see
            :func:`~mmpose_da.structures.joint_metainfo`.
        kwargs: See :class:`mmpose.evaluation.CocoMetric`, without the converters.
    """

    def __init__(
        self, joints: Sequence[str], pred_joints: str | dict, **kwargs: Any
    ) -> None:
        kwargs.setdefault("prefix", f"coco ({len(joints)} joints)")
        super().__init__(**kwargs)
        self.joints = list(joints)
        self.pred_converter = self._converter(joint_definition(pred_joints))

    def _converter(self, definition: dict) -> dict:
        ids = joint_ids(self.joints, definition)
        return dict(num_keypoints=len(ids), mapping=[(j, i) for i, j in enumerate(ids)])

    @property
    def dataset_meta(self) -> dict | None:
        return self._dataset_meta

    @dataset_meta.setter
    def dataset_meta(self, dataset_meta: dict) -> None:
        converter = self._converter(dataset_meta)
        self.gt_converter: dict | None = converter
        CocoMetric.dataset_meta.fset(self, dict(dataset_meta))
        # CocoMetric would convert the annotations again in every evaluation, and count
        # all shared joints as labeled.
        self.gt_converter = None
        for annotation in self.coco.anns.values():
            transform_ann(annotation, **converter)
            annotation["num_keypoints"] = int(
                np.count_nonzero(annotation["keypoints"][2::3])
            )


def _pck(
    results: list[dict], threshold: float, normalizer: str, offset: float = 0.0
) -> tuple[np.ndarray, float, int]:
    """Compute MMPose's PCK: per joint (-1 if unlabeled), mean, number of joints.

    Args:
        results (list[dict]): The results that MMPose's PCK metrics collect.
        threshold (float): Maximum normalized error of a correct joint.
        normalizer (str): Key of the values by which errors are divided.
        offset (float): Added to the predictions. Defaults to 0.
    """
    predictions, labels, mask, size = _arrays(results, normalizer)
    return keypoint_pck_accuracy(predictions + offset, labels, mask, threshold, size)


def _arrays(results: list[dict], normalizer: str) -> list[np.ndarray]:
    """Return predictions and labels (N, K, 2), mask (N, K), and normalizer (N, 2)."""
    keys = ("pred_coords", "gt_coords", "mask", normalizer)
    return [np.concatenate([result[key] for result in results]) for key in keys]


def joint_ids(joints: Sequence[str], definition: dict) -> list[int]:
    """Return the ids of joints in a definition.

    Raises:
        ValueError: If the definition lacks any of the joints. The message names them.
    """
    ids = definition["keypoint_name2id"]
    unknown = [joint for joint in joints if joint not in ids]
    if unknown:
        raise ValueError(
            f"the joints {unknown} are not in the definition "
            f"'{definition['dataset_name']}', which has {sorted(ids)}"
        )
    return [ids[joint] for joint in joints]
