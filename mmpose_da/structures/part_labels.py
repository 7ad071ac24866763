"""Part labels of samples: which joints an image shows."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from mmengine.structures import InstanceData
from mmpose.structures import PoseDataSample
from torch import Tensor

#: Fields of ``gt_instance_labels``, each (1, K).
_FIELDS = ("part_labels", "part_weights")


def has_part_labels(sample: PoseDataSample) -> bool:
    """Return whether a sample has part labels."""
    return all(name in sample.get("gt_instance_labels", {}) for name in _FIELDS)


def part_labels(samples: Sequence[PoseDataSample]) -> tuple[Tensor, Tensor]:
    """Return the part labels of B samples.

    Returns:
        tuple[Tensor, Tensor]: Labels, 1 for joints that an image shows and 0 for
        others, and weights, 0 for joints of which this is not known, each (B, K).

    Raises:
        ValueError: If a sample has none.
    """
    for sample in samples:
        if not has_part_labels(sample):
            raise ValueError(
                f"sample {sample.metainfo.get('id')} of the domain "
                f"'{sample.metainfo.get('domain')}' has no part labels: set "
                "`labels='parts'` for a target without keypoints, and use the codec "
                "PartLabels in GenerateTarget for people with keypoints"
            )
    labels, weights = (
        torch.cat([sample.gt_instance_labels[name] for sample in samples])
        for name in _FIELDS
    )
    return labels, weights


def mirror_part_labels(
    samples: Sequence[PoseDataSample], flipped: Tensor, flip_indices: Sequence[int]
) -> list[PoseDataSample]:
    """Exchange left and right in the part labels of images that were mirrored.

    Args:
        samples (Sequence[PoseDataSample]): B samples; not modified. Those without part
            labels stay the same.
        flipped (Tensor): Which images were mirrored (B,), bool.
        flip_indices (Sequence[int]): For each joint its counterpart.

    Returns:
        list[PoseDataSample]: B samples.
    """
    mirrored = []
    for sample, is_flipped in zip(samples, flipped.tolist(), strict=True):
        if is_flipped and has_part_labels(sample):
            labels = sample.gt_instance_labels
            swapped = {name: labels[name][:, list(flip_indices)] for name in _FIELDS}
            sample = sample.new()
            sample.gt_instance_labels = InstanceData(**swapped)
        mirrored.append(sample)
    return mirrored
