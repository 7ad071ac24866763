from __future__ import annotations

from typing import Any

import torch
from mmpose.registry import MODELS
from torch import Tensor

from ...structures import SOURCE, DomainBatch
from ..layers import gradient_reversal
from .base import Adaptation, check_factor


@MODELS.register_module()
class DomainAdversarial(Adaptation):
    """Trains features from which a discriminator cannot tell the domain.

    A gradient reversal layer stands between the features and the discriminator (Ganin
    et al., "Domain-Adversarial Training of Neural Networks", JMLR 2016). ``reversal``
    scales only the reversed gradient, so the discriminator itself learns at full
    strength from the start.

    Two of these form the strong-weak alignment of Saito et al., "Strong-Weak
    Distribution Alignment for Adaptive Object Detection", CVPR 2019: a local one with
    least squares on low-level features, and a global one with the focal loss.

    Args:
        discriminator (dict): Config of the discriminator, a module that maps features
            to logits.
        loss (dict, optional): Config of the loss of the source and target logits.
            Defaults to ``dict(type='AdversarialLoss')``.
        reversal (float): Factor of the reversed gradient; ``rampup`` raises it.
            Defaults to 1.0.
        kwargs: See :class:`Adaptation`.
    """

    needs = (SOURCE, "target")
    ramps = "reversal"

    def __init__(
        self,
        discriminator: dict,
        loss: dict | None = None,
        reversal: float = 1.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        check_factor("reversal", reversal)
        self.reversal = reversal
        given = dict(in_channels=self.in_channels)
        self.discriminator = MODELS.build({**given, **discriminator})
        self.loss_module = MODELS.build(loss or dict(type="AdversarialLoss"))

    def loss(self, batch: DomainBatch) -> dict[str, Tensor]:
        features = gradient_reversal(
            batch.features[self.feature], self.ramped(self.reversal)
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
