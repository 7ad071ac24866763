from mmpose.registry import MODELS
from torch import Tensor, nn

from ..layers.numerics import empty_sum, full_precision, promote


@MODELS.register_module()
class ConsistencyLoss(nn.Module):
    """Weighted squared distance between heatmaps and pseudo heatmaps::

        L = 1 / (B K) * sum over images and joints of w |h - pseudo|^2

    The mean is over all joints: the fewer have a weight, the smaller the loss. It is
    exactly 0, with a graph, if there are no heatmaps. In distributed runs with the same
    number of images on each rank, the average over ranks is the loss of the joint
    batch.
    """

    def forward(self, heatmaps: Tensor, pseudo: Tensor, weights: Tensor) -> Tensor:
        """Compute the loss.

        Args:
            heatmaps (Tensor): Shape (B, K, h, w).
            pseudo (Tensor): Shape (B, K, h, w); receives no gradient.
            weights (Tensor): Shape (B, K), from 0 to 1.

        Returns:
            Tensor: The loss, a scalar.
        """
        if heatmaps.shape != pseudo.shape or weights.shape != heatmaps.shape[:2]:
            raise ValueError(
                "heatmaps and pseudo must have the same shape (B, K, h, w), and "
                f"weights (B, K), got {tuple(heatmaps.shape)}, {tuple(pseudo.shape)}, "
                f"and {tuple(weights.shape)}"
            )
        if heatmaps.numel() == 0:
            return empty_sum(heatmaps)
        with full_precision(heatmaps):
            error = (promote(heatmaps) - promote(pseudo).detach()).square()
            return (error.sum(dim=(2, 3)) * weights).mean()
