from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from mmpose.registry import MODELS
from torch import Tensor

from ...structures import SOURCE, DomainBatch
from .base import Adaptation, check_no_loss


@MODELS.register_module()
class PastedPatches(Adaptation):
    """Hides parts of source images behind patches of target images.

    The labels stay: the network learns to find joints that it does not see, and what
    the images of the target look like around a person. Each patch is a rectangle at
    the same place of another image, as in Yun et al., "CutMix", ICCV 2019, which mixes
    the labels, too. For poses, Sárándi et al., "How Robust is 3D Human Pose Estimation
    to Occlusion?", IROS Workshop 2018, paste objects and keep the labels.

    It fits every head, and it has no loss, and thus no ``weight`` or ``rampup``. It
    comes after a style and before a view.

    In distributed runs, patches come from the images of the same rank.

    Args:
        count (int): Patches of an image. Defaults to 2.
        size (tuple[float, float]): Range of both sides of a patch, as fractions of the
            height and the width of the image. Defaults to (0.1, 0.4).
        share (float): An image gets patches with this probability. Defaults to 1.
        patch (str): Where they come from: random ``'target'`` images, or other
            ``'source'`` images, which needs no target. Defaults to ``'target'``.
        kwargs: See :class:`Adaptation`.

    Raises:
        ValueError: If patches come from other source images and there are none.
    """

    priority = 20

    def __init__(
        self,
        count: int = 2,
        size: Sequence[float] = (0.1, 0.4),
        share: float = 1.0,
        patch: str = "target",
        **kwargs: Any,
    ) -> None:
        check_no_loss(PastedPatches, kwargs)
        super().__init__(**kwargs)
        if count < 1:
            raise ValueError(f"count of PastedPatches must be positive, but is {count}")
        if not 0 < size[0] <= size[1] <= 1:
            raise ValueError(
                f"size of PastedPatches must be a range in (0, 1], but is {size}"
            )
        if not 0 <= share <= 1:
            raise ValueError(
                f"share of PastedPatches must be in [0, 1], but is {share}"
            )
        if patch not in ("target", "source"):
            raise ValueError(f"patch='{patch}' is neither 'target' nor 'source'")
        self.count, self.size, self.share = count, tuple(size), share
        self.patch = patch
        self.needs = (SOURCE, "target") if patch == "target" else (SOURCE,)

    @torch.no_grad()
    def prepare(self, batch: DomainBatch) -> None:
        place = batch.slice(SOURCE)
        images, target = batch.images[place], batch.images[batch.slice("target")]
        if self.patch == "source" and len(images) == 1:
            raise ValueError(
                "PastedPatches takes its patches from other source images, but there "
                "is only one in the batch; set batch_sampler.samples_per_domain.source "
                "to at least 2, or set patch='target'"
            )
        if len(images) == 0 or (self.patch == "target" and len(target) == 0):
            return
        # Drawn on the CPU, like all choices of images: the same on every device.
        chosen = torch.rand(len(images)) < self.share
        original = images
        for _ in range(self.count):
            others = self._others(original, target)
            inside = self._rectangles(images) & chosen[:, None, None].to(images.device)
            images = torch.where(inside[:, None], others, images)
        batch.images = torch.cat([images, batch.images[place.stop :]])

    def _others(self, source: Tensor, target: Tensor) -> Tensor:
        """Return the image from which each source image (B, 3, H, W) gets a patch."""
        count = len(source)
        if self.patch == "target":
            return target[torch.randint(len(target), (count,)).to(target.device)]
        other = torch.arange(count) + torch.randint(1, count, (count,))
        return source[(other % count).to(source.device)]

    def _rectangles(self, images: Tensor) -> Tensor:
        """Return the pixels (B, H, W) of one rectangle in each image.

        Its center is uniform in the image, so some of it may be outside.
        """
        count, (low, high) = len(images), self.size
        sides = []
        for pixels in images.shape[2:]:
            side = (low + (high - low) * torch.rand(count, 1)) * pixels
            distance = torch.arange(pixels) + 0.5 - pixels * torch.rand(count, 1)
            sides.append((distance.abs() < side / 2).to(images.device))
        rows, columns = sides
        return rows[:, :, None] & columns[:, None]
