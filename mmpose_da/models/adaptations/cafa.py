from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from mmpose.registry import MODELS

from ...structures import SOURCE, DomainBatch
from .feature_alignment import FeatureAlignment


@MODELS.register_module()
class CAFA(FeatureAlignment):
    """Cross-attentive feature alignment.

    Source and target images exchange features through
    :class:`~mmpose_da.models.necks.CAFANeck`, and the MMD of the exchanged features is
    the loss (Xu et al., "Alleviating Human-level Shift", ACM MM 2020, Sec. 3.2).

    The deployed network sees a single image, without a partner to exchange features
    with. The paper does not treat this case. The head is therefore trained for both: in
    training, the features of an image are the exchanged ones with probability
    ``exchange_prob``, and its own otherwise.

    In distributed runs, each rank exchanges features among its own images.

    Args:
        neck (dict, optional): Config of the neck. Defaults to
            ``dict(type='CAFANeck')``.
        exchange_prob (float): With 1, as in the paper, the head never sees its
            test-time input in training; with 0, the exchange only affects the loss.
            Defaults to 0.5.
        kwargs: See :class:`FeatureAlignment`; the features are the exchanged ones.
    """

    def __init__(
        self, neck: dict | None = None, exchange_prob: float = 0.5, **kwargs: Any
    ) -> None:
        super().__init__(feature="exchanged", **kwargs)
        if not 0 <= exchange_prob <= 1:
            raise ValueError(f"exchange_prob must be in [0, 1], but is {exchange_prob}")
        given = dict(in_channels=self.in_channels)
        self.neck = MODELS.build({**given, **(neck or dict(type="CAFANeck"))})
        self.exchange_prob = exchange_prob

    @property
    def taps(self) -> Sequence[str]:
        return ()

    def adapt(self, batch: DomainBatch) -> None:
        own = batch.features["head"]
        source, target = batch[SOURCE], batch["target"]
        exchanged = torch.cat(
            self.neck(source.features["head"], target.features["head"])
        )
        chosen = torch.rand(len(batch), 1, 1, 1, device=own.device) < self.exchange_prob
        batch.features["exchanged"] = exchanged
        batch.features["head"] = torch.where(chosen, exchanged, own)
