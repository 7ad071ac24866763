from mmpose.registry import MODELS
from torch import Tensor, nn

from ..layers.numerics import empty_sum, promote


@MODELS.register_module()
class EntropyLoss(nn.Module):
    """Mean entropy of heatmaps, interpreted as distributions over positions.

    Grandvalet and Bengio, "Semi-supervised Learning by Entropy Minimization", NeurIPS
    2004; used on unlabeled target images by Xu et al., "Alleviating Human-level
    Shift: A Robust Domain Adaptation Method for Multi-person Pose Estimation", ACM MM
    2020, section 3.5::

        p = softmax over positions of h / temperature
        L = mean over images and joints of -sum_i p_i log p_i

    in nats, between 0 and log(H W). The loss is exactly 0, with a graph, if there are
    no heatmaps. The paper does not specify how a heatmap becomes a distribution:
    heatmaps trained with MSE peak at about 1, so a temperature of 1 leaves them nearly
    uniform.

    In distributed runs with the same number of images on each rank, the average over
    ranks is the loss of the joint batch.

    Args:
        temperature (float): Divisor of the heatmaps before the softmax. Defaults to
            1.0.
    """

    def __init__(self, temperature: float = 1.0) -> None:
        super().__init__()
        if temperature <= 0:
            raise ValueError(f"temperature must be positive, got {temperature}")
        self.temperature = temperature

    def forward(self, heatmaps: Tensor) -> Tensor:
        """Compute the loss.

        Args:
            heatmaps (Tensor): Shape (B, K, H, W).

        Returns:
            Tensor: The loss, a scalar.
        """
        if heatmaps.dim() != 4:
            raise ValueError(
                f"heatmaps must be of shape (B, K, H, W), got {tuple(heatmaps.shape)}"
            )
        if heatmaps.numel() == 0:
            return empty_sum(heatmaps)
        log_p = (promote(heatmaps).flatten(2) / self.temperature).log_softmax(-1)
        return -(log_p.exp() * log_p).sum(-1).mean()
