from collections.abc import Sequence

import torch
from torch import Tensor


class KeypointOcclusion:
    """Hides joints behind square patches of other images in the batch.

    Kim et al., "A Unified Framework for Domain Adaptive Pose Estimation", ECCV 2022,
    Sec. 3.3: a student that must find hidden joints learns their relations.

    Args:
        prob (float): Probability that a joint is hidden. Defaults to 0.05, about
            one joint in every other image.
        size (tuple[float, float]): Range of the patch side, as a fraction of the
            shorter side of the image. Defaults to (0.1, 0.2).
    """

    def __init__(self, prob: float = 0.05, size: Sequence[float] = (0.1, 0.2)) -> None:
        if not 0 <= prob <= 1:
            raise ValueError(f"occlusion prob must be in [0, 1], but is {prob}")
        if not 0 < size[0] <= size[1]:
            raise ValueError(f"occlusion size must be a positive range, but is {size}")
        self.prob, self.size = prob, tuple(size)

    def __call__(self, images: Tensor, points: Tensor, candidates: Tensor) -> Tensor:
        """Hide some of the joints.

        Args:
            images (Tensor): (B, 3, H, W).
            points (Tensor): (B, K, 2) in pixels of the images.
            candidates (Tensor): (B, K) bool, the joints that may be hidden.

        Returns:
            Tensor: (B, 3, H, W).

        Raises:
            ValueError: If there is only one image, and none to take patches from.
        """
        if len(images) == 1:
            raise ValueError(
                "occlusion takes its patches from the other images of the batch, but "
                "there is only one unlabeled image; set "
                "batch_sampler.samples_per_domain.target_unlabeled to at least 2, or "
                "remove `occlusion`"
            )
        height, width = images.shape[2:]
        hidden = candidates & (torch.rand_like(points[..., 0]) < self.prob)
        low, high = (share * min(height, width) / 2 for share in self.size)
        radius = low + (high - low) * torch.rand_like(points[..., 0])
        radius = torch.where(hidden, radius, -torch.ones_like(radius))[..., None]
        x, y = (
            (torch.arange(n, device=points.device) - points[..., i, None]).abs()
            <= radius
            for i, n in enumerate((width, height))
        )
        # For all joints at once: does any patch contain this row and this column?
        mask = torch.einsum("bkh,bkw->bhw", y.to(images), x.to(images)) > 0
        return torch.where(mask[:, None], images.roll(1, dims=0), images)
