from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from mmpose.models.heads import BaseHead
from mmpose.registry import MODELS

from ...structures import DomainBatch, map_tensors
from ..layers import constant_call
from ..layers.numerics import empty_sum
from .base import Adaptation


@MODELS.register_module()
class DomainFeatureAlignment(Adaptation):
    """Trains the decoder on labeled images only; the target trains the encoder.

    Zhang et al., "Monocular 3D Human Pose Estimation with Domain Feature Alignment and
    Self Training", Sec. 3.2. The head is the decoder, and everything before it the
    encoder. For images without true labels (``target_pseudo`` and
    ``target_unlabeled``), the head's parameters are constants: the gradient of their
    losses passes through the head to the encoder. The encoder has to produce features
    of the target that this decoder can read, which aligns the domains.

    It has no loss of its own. The labels are the pseudo-labels of a file
    (``target_pseudo``), or come from another adaptation, such as a mean teacher.

    Args:
        statistics (str): How the head's batch normalization treats those images; the
            paper leaves it open. ``'running'``: with the running statistics, which only
            labeled images update. ``'batch'``: with the statistics of these images,
            which do not enter the running ones. Defaults to ``'running'``.
        kwargs: See :class:`Adaptation`.
    """

    needs = ("labeled", "unsupervised")

    def __init__(self, statistics: str = "running", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if statistics not in ("running", "batch"):
            raise ValueError(
                f"statistics='{statistics}' is neither 'running' nor 'batch'"
            )
        self.statistics = statistics

    def run_head(self, head: BaseHead, feats: Any, batch: DomainBatch) -> Iterator[Any]:
        """Run the head, with constant parameters for images without true labels."""
        count = batch.slice("labeled").stop
        if count > 0:
            yield head.forward(map_tensors(lambda feat: feat[:count], feats))
        if count == len(batch):
            return
        outputs = self._frozen_pass(head, map_tensors(lambda feat: feat[count:], feats))
        if count == 0:  # on this rank; its head still needs a gradient
            zero = empty_sum(*head.parameters())
            outputs = map_tensors(lambda x: x + zero, outputs)
        yield outputs

    def _frozen_pass(self, head: BaseHead, feats: Any) -> Any:
        """Run the head without an effect on its parameters and statistics."""
        modes = {module: module.training for module in head.modules()}
        if self.statistics == "running":
            head.eval()
        try:
            return constant_call(head, feats)
        finally:
            for module, training in modes.items():
                module.training = training
