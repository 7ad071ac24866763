from __future__ import annotations

from typing import Any

from mmpose.registry import MODELS
from torch import Tensor

from ...structures import TARGET_UNLABELED, DomainBatch
from .base import Adaptation


@MODELS.register_module()
class EntropyMinimization(Adaptation):
    """Minimizes the entropy of the heatmaps of unlabeled target images.

    Of a head with several planes, such as marginal heatmaps, the sum over the planes.

    A regularizer in Xu et al., "Alleviating Human-level Shift", ACM MM 2020,
    Sec. 3.5, Eq. 15, after Grandvalet and Bengio, "Semi-supervised Learning by Entropy
    Minimization", NIPS 2004.

    Args:
        loss (dict, optional): Config of the loss of heatmaps (B, K, h, w). Defaults to
            ``dict(type='EntropyLoss')``.
    """

    needs = (TARGET_UNLABELED,)
    reads = ("maps",)

    def __init__(self, loss: dict | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.loss_module = MODELS.build(loss or dict(type="EntropyLoss"))

    def loss(self, batch: DomainBatch) -> dict[str, Tensor]:
        maps = batch[TARGET_UNLABELED].maps.values()
        return dict(loss=sum(self.loss_module(plane) for plane in maps))
