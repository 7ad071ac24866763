from collections.abc import Sequence

import torch
from torch import Tensor


class KeypointOcclusion:
    """Hides joints behind square patches of images.

    Kim et al., "A Unified Framework for Domain Adaptive Pose Estimation", ECCV 2022,
    Sec. 3.3: a student that must find hidden joints learns their relations. Their code
    hides one joint of every other image, one of which the teacher is sure, behind a
    patch of the same image: ``per='image'``, ``prob=0.5``, ``threshold=0.9``,
    ``patch='same'``, and ``size=(0.08, 0.08)``, 20 of 256 pixels.

    Args:
        prob (float): Probability that a joint, or an image, is chosen. Defaults to
            0.05, about one joint in every other image.
        size (tuple[float, float]): Range of the patch side, as a fraction of the
            shorter side of the image. Defaults to (0.1, 0.2).
        per (str): ``'joint'``: each joint is chosen by itself. ``'image'``: an image is
            chosen, and one of its candidates is hidden. Defaults to ``'joint'``.
        patch (str): What covers a joint. ``'other'``: the same place of another image
            of the batch. ``'same'``: a random place of the same image; where it reaches
            beyond a border, it continues at the opposite one. Defaults to ``'other'``.
        threshold (float, optional): The confidence that makes a joint a candidate; see
            :class:`~mmpose_da.models.adaptations.MeanTeacher`. Defaults to None: the
            caller decides.
    """

    def __init__(
        self,
        prob: float = 0.05,
        size: Sequence[float] = (0.1, 0.2),
        per: str = "joint",
        patch: str = "other",
        threshold: float | None = None,
    ) -> None:
        if not 0 <= prob <= 1:
            raise ValueError(f"occlusion prob must be in [0, 1], but is {prob}")
        if not 0 < size[0] <= size[1]:
            raise ValueError(f"occlusion size must be a positive range, but is {size}")
        if per not in ("joint", "image"):
            raise ValueError(f"occlusion per='{per}' is neither 'joint' nor 'image'")
        if patch not in ("other", "same"):
            raise ValueError(f"occlusion patch='{patch}' is neither 'other' nor 'same'")
        self.prob, self.size = prob, tuple(size)
        self.per, self.patch, self.threshold = per, patch, threshold

    def __call__(self, images: Tensor, points: Tensor, candidates: Tensor) -> Tensor:
        """Hide some of the joints.

        Args:
            images (Tensor): (B, 3, H, W).
            points (Tensor): (B, K, 2) in pixels of the images.
            candidates (Tensor): (B, K) bool, the joints that may be hidden.

        Returns:
            Tensor: (B, 3, H, W).

        Raises:
            ValueError: If patches come from other images and there are none.
        """
        if self.patch == "other" and len(images) == 1:
            raise ValueError(
                "occlusion takes its patches from the other images of the batch, but "
                "there is only one unlabeled image; set "
                "batch_sampler.samples_per_domain.target_unlabeled to at least 2, set "
                "patch='same', or remove `occlusion`"
            )
        height, width = images.shape[2:]
        hidden = self._choose(candidates, points)
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
        covers = images.roll(1, dims=0) if self.patch == "other" else _shifted(images)
        return torch.where(mask[:, None], covers, images)

    def _choose(self, candidates: Tensor, points: Tensor) -> Tensor:
        """Return which candidates (B, K) are hidden."""
        if self.per == "joint":
            return candidates & (torch.rand_like(points[..., 0]) < self.prob)
        order = torch.rand_like(points[..., 0]).masked_fill(~candidates, -1)
        first = order == order.amax(dim=1, keepdim=True)
        return candidates & first & (torch.rand_like(points[:, :1, 0]) < self.prob)


def _shifted(images: Tensor) -> Tensor:
    """Move each image (B, 3, H, W) by a random number of pixels, around its borders."""
    count, device = len(images), images.device
    rows, columns = (
        (torch.arange(size, device=device) + torch.randint(size, (count, 1)).to(device))
        % size
        for size in images.shape[2:]
    )
    index = torch.arange(count, device=device)[:, None, None]
    # Indices around a slice put its dimension last.
    return images[index, :, rows[:, :, None], columns[:, None]].permute(0, 3, 1, 2)
