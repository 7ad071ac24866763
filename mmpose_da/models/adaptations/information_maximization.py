from __future__ import annotations

from typing import Any

from mmpose.registry import MODELS
from torch import Tensor

from ...structures import TARGET_UNLABELED, DomainBatch
from .base import Adaptation


@MODELS.register_module()
class InformationMaximization(Adaptation):
    """Makes the heatmaps of unlabeled target images confident and diverse.

    The pose level of Chen et al., "Domain Adaptive Pose Estimation via Multi-level
    Alignment", after Liang et al., "Do We Really Need to Access the Source Data?", ICML
    2020. Unlike :class:`EntropyMinimization`, it does not reward finding a joint at the
    same place in every image.

    Of a head with several planes, such as marginal heatmaps, the sum over the planes.

    The log shows both parts of the loss, unweighted: ``entropy`` and ``diversity``.

    Args:
        loss (dict, optional): Config of the loss of heatmaps (B, K, h, w), a module
            that returns terms by name. Defaults to ``dict(type='InfoMaxLoss')``.
    """

    needs = (TARGET_UNLABELED,)
    reads = ("maps",)

    def __init__(self, loss: dict | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.loss_module = MODELS.build(loss or dict(type="InfoMaxLoss"))

    def loss(self, batch: DomainBatch) -> dict[str, Tensor]:
        terms: dict[str, Tensor] = {}
        for maps in batch[TARGET_UNLABELED].maps.values():
            for name, value in self.loss_module(maps).items():
                terms[name] = terms[name] + value if name in terms else value
        return terms
