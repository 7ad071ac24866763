import torch.nn.functional as F
from mmpose.registry import MODELS
from torch import Tensor, nn

from ..layers.marginal_heatmaps import marginal_gaussians
from ..layers.numerics import full_precision, promote
from .marginal_kl_loss import mean_over_joints


@MODELS.register_module()
class LocationLoss(nn.Module):
    """Divergence of location maps from Gaussians around the joints.

    The heatmap loss for people with keypoints in Xu et al., "Location-free Human Pose
    Estimation", CVPR 2022, which leaves its form open. With Y the Gaussian, normalized
    to a sum of 1 over the cells, and H the softmax of the location logits::

        L = loss_weight * 1 / |S| * sum over S of weight * KL(Y || H)

    in nats, where S holds the joints of all images whose weight is positive. The loss
    is exactly 0, with a graph, if there are none. In distributed runs, each rank
    divides by its own number of joints.

    Args:
        sigma (float): Standard deviation of the Gaussian in cells. Defaults to 1.0.
        loss_weight (float): Factor of the loss. Defaults to 1.0.

    Raises:
        ValueError: If ``sigma`` is not positive.
    """

    def __init__(self, sigma: float = 1.0, loss_weight: float = 1.0) -> None:
        super().__init__()
        if not sigma > 0:
            raise ValueError(f"sigma must be positive, got {sigma}")
        self.sigma, self.loss_weight = sigma, loss_weight

    def forward(self, logits: Tensor, points: Tensor, weights: Tensor) -> Tensor:
        """Compute the loss.

        Args:
            logits (Tensor): Location logits (B, K, h, w).
            points (Tensor): Joints (B, K, 2) in normalized coordinates; see
                :class:`~mmpose_da.codecs.PartLabels`.
            weights (Tensor): Weights (B, K), not negative.

        Returns:
            Tensor: The loss, a scalar.

        Raises:
            ValueError: If the shapes do not match.
        """
        if (
            logits.dim() != 4
            or points.shape != (*logits.shape[:2], 2)
            or weights.shape != logits.shape[:2]
        ):
            raise ValueError(
                "logits, points, and weights must be of shapes (B, K, h, w), "
                f"(B, K, 2), and (B, K), got {tuple(logits.shape)}, "
                f"{tuple(points.shape)} and {tuple(weights.shape)}"
            )
        height, width = logits.shape[2:]
        with full_precision(logits):
            # A grid with a single cell in depth.
            in_plane = F.pad(promote(points.detach()), (0, 1))
            target = marginal_gaussians(in_plane, (width, height, 1), self.sigma)["xy"]
            log_h = promote(logits).flatten(2).log_softmax(-1)
            divergence = F.kl_div(
                log_h, target.flatten(2).to(log_h), reduction="none"
            ).sum(-1)
            return self.loss_weight * mean_over_joints(divergence, weights.to(log_h))
