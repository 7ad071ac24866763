from __future__ import annotations

import torch
from mmpose.registry import MODELS
from torch import Tensor

from ...structures import SOURCE, DomainBatch
from ..layers import gradient_reversal
from .base import Adaptation


@MODELS.register_module()
class DomainAdversarial(Adaptation):
    """Makes features from which a discriminator can't tell the domain.

    A gradient reversal layer stands between the features and the discriminator (Ganin
    et al., "Domain-Adversarial Training of Neural Networks", JMLR 2016). The weight,
    with its ramp-up, is that of the reversed gradient: the discriminator itself always
    learns at full strength, and its loss is logged as it is.

    Two of these make the strong-weak alignment of Saito et al., "Strong-Weak
    Distribution Alignment for Adaptive Object Detection", CVPR 2019: a local one with
    least squares on low-level features, and a global one with the focal loss.

    Args:
        discriminator (dict): Config of the discriminator, a module that maps features
            to logits.
        loss (dict, optional): Config of the loss of the source's and the target's
            logits. Defaults to ``dict(type='AdversarialLoss')``.
    """

    needs = (SOURCE, "target")

    def __init__(self, discriminator: dict, loss: dict | None = None, **kwargs) -> None:
        super().__init__(**kwargs)
        given = dict(in_channels=self.in_channels)
        self.discriminator = MODELS.build({**given, **discriminator})
        self.loss_module = MODELS.build(loss or dict(type="AdversarialLoss"))

    def forward(self, batch: DomainBatch) -> dict[str, Tensor]:
        return self.loss(batch)

    def loss(self, batch: DomainBatch) -> dict[str, Tensor]:
        features = gradient_reversal(
            batch.features[self.feature], self.current_weight()
        )
        logits = self.discriminator(features)
        source, target = (logits[batch.slice(d)] for d in (SOURCE, "target"))
        correct = [
            side.double().mean() for side in (source > 0, target <= 0) if len(side)
        ]
        return dict(
            loss=self.loss_module(source, target),
            accuracy=torch.stack(correct).mean(),
        )
