import torch.nn.functional as F
from mmpose.registry import MODELS
from torch import Tensor, nn

from ..layers.numerics import full_precision, promote
from .marginal_kl_loss import mean_over_joints


@MODELS.register_module()
class PartLoss(nn.Module):
    """Binary cross entropy of which joints an image shows.

    The classification of Xu et al., "Location-free Human Pose Estimation", CVPR 2022.
    With part labels y and logits s::

        L = loss_weight * 1 / |S| * sum over S of
            weight * (-y log sigmoid(s) - (1 - y) log (1 - sigmoid(s)))

    where S holds the joints of all images whose weight is positive. The loss is exactly
    0, with a graph, if there are none. In distributed runs, each rank divides by its
    own number of joints.

    Args:
        loss_weight (float): Factor of the loss. Defaults to 1.0.
    """

    def __init__(self, loss_weight: float = 1.0) -> None:
        super().__init__()
        self.loss_weight = loss_weight

    def forward(self, logits: Tensor, labels: Tensor, weights: Tensor) -> Tensor:
        """Compute the loss.

        Args:
            logits (Tensor): Logits (B, K).
            labels (Tensor): Part labels (B, K), 0 or 1.
            weights (Tensor): Weights (B, K), not negative; 0 for unknown labels.

        Returns:
            Tensor: The loss, a scalar.

        Raises:
            ValueError: If the shapes do not match.
        """
        if logits.dim() != 2 or not logits.shape == labels.shape == weights.shape:
            raise ValueError(
                "logits, labels, and weights must have one shape (B, K), got "
                f"{tuple(logits.shape)}, {tuple(labels.shape)} and "
                f"{tuple(weights.shape)}"
            )
        with full_precision(logits):
            logits = promote(logits)
            terms = F.binary_cross_entropy_with_logits(
                logits, labels.to(logits), reduction="none"
            )
            return self.loss_weight * mean_over_joints(terms, weights.to(logits))
