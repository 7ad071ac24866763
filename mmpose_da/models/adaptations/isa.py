from __future__ import annotations

from typing import Any

from mmpose.registry import MODELS
from torch import Tensor

from ...structures import TARGET_LABELED, TARGET_UNLABELED, DomainBatch
from ..layers import keypoint_features
from .base import Adaptation


@MODELS.register_module()
class ISA(Adaptation):
    """Intra-domain structure adaptation: labeled target images guide unlabeled ones.

    Joint by joint, it raises the cosine similarity between a labeled and an unlabeled
    target image (Xu et al., "Alleviating Human-level Shift", ACM MM 2020, Sec. 3.3,
    Eq. 4). For semi-supervised settings only.

    Args:
        compare (str): ``'heatmap'`` compares heatmaps, as in the paper; this also pulls
            the joint positions of the two people together. ``'feature'`` compares
            the local keypoint features instead. Defaults to ``'heatmap'``.
        loss (dict, optional): Config of the loss. Defaults to ``dict(type='ISALoss')``.
    """

    needs = (TARGET_LABELED, TARGET_UNLABELED)
    reads = ("heatmaps",)

    def __init__(
        self, compare: str = "heatmap", loss: dict | None = None, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        if compare not in ("heatmap", "feature"):
            raise ValueError(f"compare='{compare}' is neither 'heatmap' nor 'feature'")
        self.compare = compare
        self.loss_module = MODELS.build(loss or dict(type="ISALoss"))

    def loss(self, batch: DomainBatch) -> dict[str, Tensor]:
        labeled, unlabeled = (
            part.maps["xy"]
            if self.compare == "heatmap"
            else keypoint_features(part.features[self.feature], part.maps["xy"])
            for part in (batch[TARGET_LABELED], batch[TARGET_UNLABELED])
        )
        return dict(loss=self.loss_module(labeled, unlabeled))
