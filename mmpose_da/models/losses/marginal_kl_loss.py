from collections.abc import Mapping

import torch
from mmpose.registry import MODELS
from torch import Tensor, nn

from ..layers.marginal_heatmaps import PLANES
from ..layers.numerics import full_precision, promote, total


def mean_over_joints(values: Tensor, weights: Tensor) -> Tensor:
    """Sum of weighted values, divided by how many weights are positive.

    Args:
        values (Tensor): Finite values (B, K).
        weights (Tensor): Weights (B, K), not negative.

    Returns:
        Tensor: A scalar; 0 with a graph where no weight is positive.
    """
    return (weights * values).sum() / (weights > 0).sum().clamp(min=1)


@MODELS.register_module()
class MarginalKLLoss(nn.Module):
    """Divergence of predicted from target marginal heatmaps.

    The loss of Zhang et al., "Monocular 3D Human Pose Estimation with Domain Feature
    Alignment and Self Training", Sec. 3.2, Eq. 1, for one domain. With Y the target and
    H the softmax of the logits over the cells of a map::

        L = loss_weight * sum over the three planes of
            1 / |S| * sum over S of weight * KL(Y || H)
        KL(Y || H) = sum over the cells of Y (log Y - log H)

    in nats, where S holds the joints of all images whose weight on this plane is
    positive: the mean is over joints with a label, and a weight is a factor of its own
    joint alone. On ``'xz'`` and ``'yz'`` the weight is that of the joint times that of
    its depth, so that a joint without depth counts on ``'xy'`` alone. A plane without
    such a joint is exactly 0, with a graph. The paper sums over samples and leaves open
    how it averages.

    Under several ranks each divides by its own number of joints.

    Args:
        loss_weight (float): Factor of the loss. Defaults to 1.0.
    """

    def __init__(self, loss_weight: float = 1.0) -> None:
        super().__init__()
        self.loss_weight = loss_weight

    def forward(
        self,
        logits: Mapping[str, Tensor],
        targets: Mapping[str, Tensor],
        weights: Tensor,
        depth_weights: Tensor,
    ) -> Tensor:
        """Compute the loss.

        Args:
            logits (Mapping[str, Tensor]): By plane, shapes (B, K, h, w), (B, K, d, w)
                and (B, K, h, d).
            targets (Mapping[str, Tensor]): Maps of the same shapes that sum to 1 each;
                no gradient goes there. Those of joints without weight may be anything.
            weights (Tensor): Weights (B, K), not negative.
            depth_weights (Tensor): Their factors (B, K) on the planes with z, not
                negative.

        Returns:
            Tensor: The loss, a scalar.

        Raises:
            ValueError: Shapes do not fit each other.
        """
        losses = []
        for plane in PLANES:
            _check_shapes(plane, logits[plane], targets[plane], weights, depth_weights)
            weight = weights if plane == "xy" else weights * depth_weights
            with full_precision(logits[plane]):
                divergence = _divergence(logits[plane], targets[plane], weight > 0)
                losses.append(mean_over_joints(divergence, promote(weight)))
        return self.loss_weight * total(losses)


def _divergence(logits: Tensor, target: Tensor, selected: Tensor) -> Tensor:
    """KL(Y || H) (B, K) of the selected joints (B, K); 0 for the others."""
    target = torch.where(selected[..., None], promote(target).detach().flatten(2), 0)
    log_y = target.clamp(min=torch.finfo(target.dtype).tiny).log()
    log_h = promote(logits).flatten(2).log_softmax(-1)
    # A cell without target adds nothing, even where the prediction is exactly 0, too.
    terms = torch.where(target > 0, target * (log_y - log_h), 0)
    return terms.sum(-1)


def _check_shapes(
    plane: str, logits: Tensor, target: Tensor, weights: Tensor, depth_weights: Tensor
) -> None:
    if (
        logits.dim() != 4
        or logits.shape != target.shape
        or not logits.shape[:2] == weights.shape == depth_weights.shape
    ):
        raise ValueError(
            f"logits and targets of '{plane}' must have one shape (B, K, rows, "
            "columns), weights and depth_weights (B, K), got "
            f"{tuple(logits.shape)}, {tuple(target.shape)}, {tuple(weights.shape)} and "
            f"{tuple(depth_weights.shape)}"
        )
