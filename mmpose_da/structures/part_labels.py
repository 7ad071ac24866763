"""Part labels of samples: which joints an image, or a part of it, shows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from mmengine.structures import InstanceData
from mmpose.structures import PoseDataSample
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

#: Fields of ``gt_instance_labels``, each (R, K) with R parts of an image.
_FIELDS = ("part_labels", "part_weights")
#: Where each part is (R, 2, 3); a sample without it has labels of the whole image.
_REGIONS = "part_regions"


@dataclass
class LabeledParts:
    """Which of K joints each of R parts of B images shows.

    Images with fewer parts are padded; the weights of the padding are 0.

    Attributes:
        labels (Tensor): 1 for joints that a part shows, 0 for others (B, R, K).
        weights (Tensor): 0 for joints of which this is not known (B, R, K).
        regions (Tensor, optional): Matrices (B, R, 2, 3) from 0-based pixel centers of
            the input to the unit square, which is the part. None if all labels are
            those of whole images.
    """

    labels: Tensor
    weights: Tensor
    regions: Tensor | None


def has_part_labels(sample: PoseDataSample) -> bool:
    """Return whether a sample has part labels."""
    return all(name in sample.get("gt_instance_labels", {}) for name in _FIELDS)


def part_labels(samples: Sequence[PoseDataSample]) -> LabeledParts:
    """Return the part labels of B samples.

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
    fields = [sample.gt_instance_labels for sample in samples]
    labels, weights = (
        pad_sequence([field[name] for field in fields], batch_first=True)
        for name in _FIELDS
    )
    regions = part_regions(samples)
    if any(places is not None for places in regions):
        everywhere = labels.new_tensor([[[0, 0, 0.5], [0, 0, 0.5]]])
        padded = pad_sequence(
            [everywhere if places is None else places for places in regions],
            batch_first=True,
        )
        return LabeledParts(labels, weights, padded)
    return LabeledParts(labels, weights, None)


def part_regions(samples: Sequence[PoseDataSample]) -> list[Tensor | None]:
    """Return where the parts (R, 2, 3) of each sample are, None if none is marked."""
    return [sample.get("gt_instance_labels", {}).get(_REGIONS) for sample in samples]


def warp_part_labels(
    samples: Sequence[PoseDataSample],
    matrices: Tensor,
    flipped: Tensor,
    flip_indices: Sequence[int],
) -> list[PoseDataSample]:
    """Transform part labels together with their images.

    Left and right change places in images that were mirrored, and the parts move.

    Args:
        samples (Sequence[PoseDataSample]): B samples; not modified. Those without part
            labels stay the same.
        matrices (Tensor): From pixels of the images to pixels of the transformed images
            (B, 3, 3).
        flipped (Tensor): Which images were mirrored (B,), bool.
        flip_indices (Sequence[int]): For each joint its counterpart.

    Returns:
        list[PoseDataSample]: B samples.
    """
    warped = []
    # Under autocast, a product in half precision would move the parts by a pixel.
    with torch.autocast(matrices.device.type, enabled=False):
        back = torch.linalg.inv(matrices)
        for sample, inverse, is_flipped in zip(
            samples, back, flipped.tolist(), strict=True
        ):
            if has_part_labels(sample):
                fields = sample.gt_instance_labels
                order = list(flip_indices) if is_flipped else slice(None)
                changed = {name: fields[name][:, order] for name in _FIELDS}
                if _REGIONS in fields:
                    regions = fields[_REGIONS]
                    changed[_REGIONS] = regions @ inverse.to(regions)
                sample = sample.new()
                sample.gt_instance_labels = InstanceData(**changed)
            warped.append(sample)
    return warped
