from __future__ import annotations

from typing import Any

import torch
from mmpose.registry import MODELS
from torch import Tensor

from ...structures import SOURCE, DomainBatch
from ..layers.numerics import promote
from .base import Adaptation


@MODELS.register_module()
class FeatureAlignment(Adaptation):
    """Aligns the feature distributions of source and target.

    With :class:`~mmpose_da.models.losses.MMDLoss`, this is the deep adaptation network
    of Long et al., "Learning Transferable Features with Deep Adaptation Networks",
    ICML 2015.

    Args:
        loss (dict): A loss of two sets of samples (n, D) and (m, D). Defaults to
            ``dict(type='MMDLoss')``.
        sample (str): What a sample is: ``'image'``, the mean of an image's features
            over all positions, or ``'position'``, the feature at one position.
            Defaults to ``'image'``.
        max_positions (int): Maximum number of positions of each side, with
            ``sample='position'``, drawn in random order in every step. The order
            matters for the linear estimate of MMDLoss, which pairs neighboring samples.
            Even so, positions of one image are not independent, as its theory assumes.
            Defaults to 1024.
    """

    needs = (SOURCE, "target")

    def __init__(
        self,
        loss: dict | None = None,
        sample: str = "image",
        max_positions: int = 1024,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if sample not in ("image", "position"):
            raise ValueError(f"sample='{sample}' is neither 'image' nor 'position'")
        self.loss_module = MODELS.build(loss or dict(type="MMDLoss"))
        self.sample = sample
        self.max_positions = max_positions

    def loss(self, batch: DomainBatch) -> dict[str, Tensor]:
        return dict(
            loss=self.loss_module(
                self.samples(batch[SOURCE].features[self.feature]),
                self.samples(batch["target"].features[self.feature]),
            )
        )

    def samples(self, features: Tensor) -> Tensor:
        """Return samples (S, C) of feature maps (B, C, h, w), at least float32."""
        features = promote(features)
        if self.sample == "image":
            return features.mean(dim=(2, 3))
        positions = features.permute(0, 2, 3, 1).reshape(-1, features.shape[1])
        order = torch.randperm(len(positions), device=positions.device)
        return positions[order[: self.max_positions]]
