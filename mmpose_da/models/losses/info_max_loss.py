import torch
from mmengine.dist import all_reduce, get_world_size
from mmpose.registry import MODELS
from torch import Tensor, nn

from ..layers.numerics import empty_sum, promote


@MODELS.register_module()
class InfoMaxLoss(nn.Module):
    """Heatmaps that are certain each and differ from image to image.

    Information maximisation on unlabelled target images, as in Chen et al., "Domain
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

    The mean over images is over those of all processes (``all_ranks``), however many
    each has; one without images takes part with none. Then the loss is the same in
    every process, and its gradient is such that the mean over the processes, which
    DistributedDataParallel takes, is the gradient of one process with all images. So
    every process must call this equally often.

    The loss is exactly 0, with a graph, when there is no heatmap in any process.

    Args:
        temperature (float): Divisor of the heatmaps before the softmax. Defaults to
            1.0.
        diversity_weight (float): Factor of the diversity. Defaults to 1.0.
        all_ranks (bool): Whether the images are those of all processes, or of this one.
            Defaults to True.
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
            dict[str, Tensor]: Scalars: the ``loss``, and for the log, detached, its
            ``entropy`` and ``diversity``.
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
        # A position of no probability in any image adds nothing, to the gradient too.
        log_mean_p = mean_p.clamp(min=torch.finfo(mean_p.dtype).tiny).log()
        diversity = -(mean_p * log_mean_p).sum(-1).mean()
        return dict(
            loss=entropy - self.diversity_weight * diversity,
            entropy=entropy.detach(),
            diversity=diversity.detach(),
        )

    def _mean(self, total: Tensor, count: int) -> Tensor:
        """The mean over images, from their sum and number in this process."""
        if not self.all_ranks:
            return total / max(count, 1)
        constant = total.detach()
        of_all = torch.cat([constant.flatten(), constant.new_full((1,), count)])
        all_reduce(of_all)
        # The gradient goes through the own part alone. DistributedDataParallel divides
        # it by the number of processes, which must have no part in it.
        own = get_world_size() * (total - constant)
        return (of_all[:-1].view_as(total) + own) / of_all[-1].clamp(min=1)
