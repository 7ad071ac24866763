import torch
from mmpose.registry import MODELS
from torch import Tensor, nn

from ..layers.numerics import empty_sum, full_precision, promote


@MODELS.register_module()
class KeypointKLLoss(nn.Module):
    """Divergence of the softmax of logits over positions from target heatmaps.

    Jiang et al., "Regressive Domain Adaptation for Unsupervised Keypoint Detection",
    CVPR 2021, Sec. 3. With p the softmax of a joint's logits and y its heatmap divided
    by its sum::

        L = loss_weight / (B K) * sum over images and joints of
            weight * sum over the positions of y (log y - log p)

    The mean is over all joints, whatever their weights. It can replace the loss of
    MMPose's ``HeatmapHead``; :class:`~mmpose_da.models.heads.LogitHeatmapHead` decodes
    what it trains. A heatmap of zeros adds nothing. The loss is exactly 0, with a
    graph, if there are no heatmaps. In distributed runs with the same number of images
    on each rank, the average over ranks is the loss of the joint batch.

    Args:
        use_target_weight (bool): Whether joints have weights; otherwise all are 1.
            Defaults to True.
        loss_weight (float): Factor of the loss. Defaults to 1.0.
    """

    def __init__(
        self, use_target_weight: bool = True, loss_weight: float = 1.0
    ) -> None:
        super().__init__()
        self.use_target_weight = use_target_weight
        self.loss_weight = loss_weight

    def forward(
        self, output: Tensor, target: Tensor, target_weights: Tensor | None = None
    ) -> Tensor:
        """Compute the loss.

        Args:
            output (Tensor): Logits (B, K, h, w).
            target (Tensor): Heatmaps (B, K, h, w), not negative, of any height; no
                gradient goes there.
            target_weights (Tensor, optional): Weights (B, K), not negative. Defaults to
                None: all are 1.

        Returns:
            Tensor: The loss, a scalar, in nats.

        Raises:
            ValueError: If the shapes differ, or ``use_target_weight`` is set and there
                are no weights.
        """
        if self.use_target_weight and target_weights is None:
            raise ValueError(
                "KeypointKLLoss needs target_weights, or use_target_weight=False"
            )
        weights = target_weights if self.use_target_weight else None
        if output.shape != target.shape or (
            weights is not None and weights.shape != output.shape[:2]
        ):
            raise ValueError(
                "output and target must have the same shape (B, K, h, w), and "
                f"target_weights (B, K), got {tuple(output.shape)}, "
                f"{tuple(target.shape)}, and "
                f"{None if weights is None else tuple(weights.shape)}"
            )
        if output.numel() == 0:
            return empty_sum(output)
        with full_precision(output):
            log_p = promote(output).flatten(2).log_softmax(-1)
            y = promote(target).detach().flatten(2)
            y = y / y.sum(-1, keepdim=True).clamp(min=torch.finfo(y.dtype).tiny)
            divergence = (torch.special.xlogy(y, y) - y * log_p).sum(-1)
            if weights is not None:
                divergence = divergence * promote(weights)
            return self.loss_weight * divergence.mean()
