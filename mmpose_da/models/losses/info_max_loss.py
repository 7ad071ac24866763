import torch
from mmengine.dist import all_reduce, get_world_size
from mmpose.registry import MODELS
from torch import Tensor, nn

from ..layers.numerics import empty_sum, promote


@MODELS.register_module()
class InfoMaxLoss(nn.Module):
    """Makes heatmaps confident and different from image to image.

    Information maximization on unlabeled target images, as in Chen et al., "Domain
    Adaptive Pose Estimation via Multi-level Alignment", in the form of Liang et al.,
    "Do We Really Need to Access the Source Data?", ICML 2020, section 3.2::

        p = softmax over positions of h / temperature
        entropy = mean over images and joints of H(p)
        diversity = mean over joints of H(mean over images of p)
        L = entropy - diversity_weight * diversity

    with H(p) = -sum_i p_i log p_i, in nats, between 0 and log(H W). Their difference,
    diversity - entropy, is the mutual information of image and position: at least 0, at
    most log(B), and 0 for a single image. The temperature is as in
    :class:`EntropyLoss`.

    With ``all_ranks``, the mean over images includes the images of all processes, which
    may differ in number, down to 0. The loss is then the same in every process, and its
    gradient is such that the mean over processes, which DistributedDataParallel
    computes, is the gradient of one process with all images. All processes must
    therefore call this equally often.

    The loss is exactly 0, with a graph, if no process has a heatmap.

    Args:
        temperature (float): Divisor of the heatmaps before the softmax. Defaults to
            1.0.
        diversity_weight (float): Factor of the diversity. Defaults to 1.0.
        all_ranks (bool): Whether to use the images of all processes, or only those of
            this one. Defaults to True.
    """

    def __init__(
        self,
        temperature: float = 1.0,
        diversity_weight: float = 1.0,
        all_ranks: bool = True,
    ) -> None:
        super().__init__()
        if temperature <= 0:
            raise ValueError(f"temperature must be positive, got {temperature}")
        if diversity_weight < 0:
            raise ValueError(
                f"diversity_weight must not be negative, got {diversity_weight}"
            )
        self.temperature = temperature
        self.diversity_weight = diversity_weight
        self.all_ranks = all_ranks

    def forward(self, heatmaps: Tensor) -> dict[str, Tensor]:
        """Compute the loss and its parts.

        Args:
            heatmaps (Tensor): Shape (B, K, H, W).

        Returns:
            dict[str, Tensor]: Scalars: the ``loss``, and its ``entropy`` and
            ``diversity``, detached, for the log.
        """
        if heatmaps.dim() != 4:
            raise ValueError(
                f"heatmaps must be of shape (B, K, H, W), got {tuple(heatmaps.shape)}"
            )
        if 0 in heatmaps.shape[1:]:  # in every process, unlike a batch without images
            zero = empty_sum(heatmaps)
            return dict(loss=zero, entropy=zero.detach(), diversity=zero.detach())
        log_p = (promote(heatmaps).flatten(2) / self.temperature).log_softmax(-1)
        p = log_p.exp()
        entropy = -(p * log_p).sum(-1)
        total = torch.cat([p.sum(0), entropy.sum(0)[:, None]], dim=1)  # (K, H W + 1)
        mean = self._mean(total, len(heatmaps))
        mean_p, entropy = mean[:, :-1], mean[:, -1].mean()
        # A position of probability 0 in all images adds nothing, even to the gradient.
        log_mean_p = mean_p.clamp(min=torch.finfo(mean_p.dtype).tiny).log()
        diversity = -(mean_p * log_mean_p).sum(-1).mean()
        return dict(
            loss=entropy - self.diversity_weight * diversity,
            entropy=entropy.detach(),
            diversity=diversity.detach(),
        )

    def _mean(self, total: Tensor, count: int) -> Tensor:
        """Return the mean over images, given the sum and count of this process."""
        if not self.all_ranks:
            return total / max(count, 1)
        constant = total.detach()
        of_all = torch.cat([constant.flatten(), constant.new_full((1,), count)])
        all_reduce(of_all)
        # Only the part of this process has a gradient. The factor cancels the division
        # by the number of processes in DistributedDataParallel.
        own = get_world_size() * (total - constant)
        return (of_all[:-1].view_as(total) + own) / of_all[-1].clamp(min=1)
