from mmpose.registry import MODELS
from torch import Tensor, nn

from ..layers.numerics import empty_sum, full_precision, promote


@MODELS.register_module()
class ConsistencyLoss(nn.Module):
    """Squared distance of heatmaps from pseudo heatmaps that are believed in::

        L = 1 / (B K) * sum over images and joints of w |h - pseudo|^2

    The mean is over all joints: the fewer are believed in, the less the loss weighs. It
    is exactly 0, with a graph, where there is no heatmap. With equally many images in
    each of several ranks, their average is the loss of the joined batch.
    """

    def forward(self, heatmaps: Tensor, pseudo: Tensor, weights: Tensor) -> Tensor:
        """Compute the loss.

        Args:
            heatmaps (Tensor): Shape (B, K, h, w).
            pseudo (Tensor): Shape (B, K, h, w); no gradient goes there.
            weights (Tensor): Shape (B, K), from 0 to 1.

        Returns:
            Tensor: The loss, a scalar.
        """
        if heatmaps.shape != pseudo.shape or weights.shape != heatmaps.shape[:2]:
            raise ValueError(
                "heatmaps and pseudo heatmaps must have one shape (B, K, h, w) and "
                f"weights (B, K), got {tuple(heatmaps.shape)}, {tuple(pseudo.shape)} "
                f"and {tuple(weights.shape)}"
            )
        if heatmaps.numel() == 0:
            return empty_sum(heatmaps)
        with full_precision(heatmaps):
            error = (promote(heatmaps) - promote(pseudo).detach()).square()
            return (error.sum(dim=(2, 3)) * weights).mean()
