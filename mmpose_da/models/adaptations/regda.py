from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import torch
from mmengine.model import initialize
from mmpose.registry import MODELS
from torch import Tensor, nn

from ...structures import SOURCE, DomainBatch
from ..heads.logit_heatmap_head import LogitHeatmapHead
from ..layers import constant_call, gaussian_heatmaps, scale_gradient
from ..layers.numerics import empty_sum
from ..losses import KeypointKLLoss
from .base import Adaptation, check_factor

if TYPE_CHECKING:
    from ..pose_estimators import DomainAdaptiveTopdown


@MODELS.register_module()
class RegDA(Adaptation):
    """Two regressors that are made to differ on the target, and features to agree.

    Jiang et al., "Regressive Domain Adaptation for Unsupervised Keypoint Detection",
    CVPR 2021. The main regressor is that of the head, a
    :class:`~mmpose_da.models.heads.LogitHeatmapHead`; an adversarial one of the same
    shape reads the same features f. With D(.) the divergence of the adversarial
    regressor from heatmaps (:class:`~mmpose_da.models.losses.KeypointKLLoss`), Y the
    Gaussian at the main regressor's peak, and Y_false the sum of the Gaussians of an
    image's other joints, at most 1 ("ground false"), three terms are minimized::

        loss_source = margin * D(Y) on the source   by f and the adversarial regressor
        loss_false  = D(Y_false) on the target      by the adversarial regressor
        loss_true   = D(Y) on the target            by f

    No term reaches the main regressor, which the head's own loss trains. On its way
    from the adversarial regressor to f, the gradient is multiplied by ``gradient``; it
    is not reversed. ``rampup`` raises this factor.

    The paper takes three steps per iteration, each with a forward pass of its own: the
    loss on the source with ``loss_source``, then ``loss_false``, then ``loss_true``.
    Here, one backward pass gives all gradients at the weights before the iteration. The
    two agree to first order in the learning rate. What differs: features and the
    adversarial regressor take one step of the optimizer per iteration instead of two,
    and thus half of the weight decay.

    The adversarial regressor starts from random weights, unless the checkpoint has one.
    It normalizes each domain with the statistics of its own images; the estimator's
    ``statistics='domain'`` does this for the rest of the network, as in the paper.

    Args:
        margin (float): Factor of ``loss_source``. Defaults to 4.0.
        gradient (float): Factor of the gradient from the adversarial regressor to the
            features. Defaults to 0.1.
        feature (str): What both regressors read. Defaults to
            ``'head.deconv_layers'``.
        kwargs: See :class:`Adaptation`; ``weight`` is the paper's trade-off, a factor
            of all three terms.

    Raises:
        ValueError: If the head is not a ``LogitHeatmapHead``, or an argument is
            negative.
    """

    needs = (SOURCE, "target")
    reads = ("maps",)
    ramps = "gradient"

    regressor: nn.Module

    def __init__(
        self,
        margin: float = 4.0,
        gradient: float = 0.1,
        feature: str = "head.deconv_layers",
        **kwargs: Any,
    ) -> None:
        super().__init__(feature=feature, **kwargs)
        check_factor("margin", margin)
        check_factor("gradient", gradient)
        self.margin, self.gradient = margin, gradient
        self.loss_module = KeypointKLLoss()

    def bind(self, estimator: DomainAdaptiveTopdown) -> None:
        head = estimator.head
        if not isinstance(head, LogitHeatmapHead) or head.decoder is None:
            raise ValueError(
                "RegDA needs model.head.type='LogitHeatmapHead' with a decoder, whose "
                "output are logits and whose regressor it copies, but the head is a "
                f"{type(head).__name__}"
            )
        self.sigma = head.decoder.sigma
        self.regressor = nn.Sequential(
            copy.deepcopy(head.conv_layers), copy.deepcopy(head.final_layer)
        )
        initialize(self.regressor, head.default_init_cfg)

    def loss(self, batch: DomainBatch) -> dict[str, Tensor]:
        features = scale_gradient(
            batch.features[self.feature], self.ramped(self.gradient)
        )
        truth, false = self.targets(batch.maps["xy"])
        weights = torch.ones_like(truth[:, :, 0, 0])
        source, target = batch.slice(SOURCE), batch.slice("target")
        for index, sample in enumerate(batch[SOURCE].data_samples, source.start):
            weights[index] = sample.gt_instance_labels.keypoint_weights[0]

        def disparity(logits: Tensor, heatmaps: Tensor, place: slice) -> Tensor:
            return self.loss_module(logits, heatmaps[place], weights[place])

        losses = dict.fromkeys(
            ("loss_source", "loss_false", "loss_true"),
            empty_sum(features, *self.regressor.parameters()),
        )
        if source.stop > source.start:  # on this rank
            own = self.regressor(features[source])
            losses["loss_source"] = self.margin * disparity(own, truth, source)
        if target.stop > target.start:
            constant = features[target].detach()
            losses["loss_false"] = disparity(self.regressor(constant), false, target)
            other = constant_call(self.regressor, features[target])
            losses["loss_true"] = disparity(other, truth, target)
        return losses

    def targets(self, logits: Tensor) -> tuple[Tensor, Tensor]:
        """Make heatmaps of the main regressor's predictions.

        Args:
            logits (Tensor): Shape (B, K, h, w).

        Returns:
            tuple[Tensor, Tensor]: Y, a Gaussian of height 1 at the highest position of
            each joint, and Y_false, the sum of those of the other joints, at most 1;
            each (B, K, h, w), without a gradient.
        """
        height, width = logits.shape[2:]
        index = logits.detach().flatten(2).argmax(-1)
        peaks = torch.stack([index % width, index // width], dim=-1)
        dtype = torch.promote_types(logits.dtype, torch.float32)
        truth = gaussian_heatmaps(peaks.to(dtype), (height, width), self.sigma)
        return truth, (truth.sum(1, keepdim=True) - truth).clamp(0, 1)
