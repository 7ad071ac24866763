from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from mmpose.registry import MODELS
from torch import Tensor, nn

from ...structures import TARGET_UNLABELED, DomainBatch, part_labels
from ..layers import pool_parts, region_masks
from ..layers.numerics import empty_sum, promote
from .base import Adaptation

if TYPE_CHECKING:
    from ..pose_estimators import DomainAdaptiveTopdown


@MODELS.register_module()
class PartClassification(Adaptation):
    """Classifies which joints a target image shows, by the peaks of its heatmaps.

    The weak supervision of Xu et al., "Location-free Human Pose Estimation", CVPR 2022,
    for a head with heatmaps: a target with ``labels='parts'`` lies between an unlabeled
    and a labeled one. The logit of joint k is

        s_k = pool(gain * (h_k - threshold_k))

    where the gain and the thresholds are learned. A joint that the image does not show
    must have no peak, and one that it shows must have one. With ``'mass'``, this holds
    for each part that :class:`~mmpose_da.datasets.MarkPartCrops` marks.

    The log shows ``accuracy``, the share of part labels that are right.

    Args:
        pool (dict, optional): Arguments of :func:`~mmpose_da.models.layers.pool_parts`.
            Defaults to ``dict(kind='mass')``.
        gain (float): Initial gain. Defaults to 10.
        threshold (float): Initial threshold of all joints. Defaults to 0.5, half the
            height of a peak.
        loss (dict, optional): Config of the loss of logits, labels, and weights, each
            (B, K). Defaults to ``dict(type='PartLoss')``.
    """

    needs = (TARGET_UNLABELED,)
    reads = ("heatmaps",)

    def __init__(
        self,
        pool: dict | None = None,
        gain: float = 10.0,
        threshold: float = 0.5,
        loss: dict | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if self.metainfo is None:
            raise ValueError(
                "PartClassification needs to know the joints: set `joints` of the "
                "estimator"
            )
        if not gain > 0:
            raise ValueError(f"gain must be positive, but is {gain}")
        self.pool = dict(pool or dict(kind="mass"))
        pool_parts(torch.zeros(1, 1, 1, 1), **self.pool)  # checks the arguments
        self.gain = nn.Parameter(torch.tensor(float(gain)))
        self.threshold = nn.Parameter(
            torch.full((self.metainfo["num_keypoints"],), float(threshold))
        )
        self.loss_module = MODELS.build(loss or dict(type="PartLoss"))

    def bind(self, estimator: DomainAdaptiveTopdown) -> None:
        assert estimator.head_outputs is not None  # the estimator checks `reads`
        self.stride = estimator.head_outputs.scale

    def loss(self, batch: DomainBatch) -> dict[str, Tensor]:
        part = batch[TARGET_UNLABELED]
        heatmaps = part.maps["xy"]
        if len(part) == 0:
            return dict(loss=empty_sum(heatmaps, self.gain, self.threshold))
        parts = part_labels(part.data_samples)
        masks = None
        if parts.regions is not None:
            masks = region_masks(parts.regions, heatmaps.shape[2:], self.stride)
        scaled = self.gain * (promote(heatmaps) - self.threshold[:, None, None])
        logits = pool_parts(scaled, **self.pool, masks=masks).view_as(parts.labels)
        logits, labels, weights = (
            value.flatten(0, 1) for value in (logits, parts.labels, parts.weights)
        )
        right = ((logits > 0) == (labels > 0.5)) & (weights > 0)
        return dict(
            loss=self.loss_module(logits, labels, weights),
            accuracy=right.sum() / (weights > 0).sum().clamp(min=1),
        )
