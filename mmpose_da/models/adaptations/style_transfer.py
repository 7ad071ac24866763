from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
from mmpose.registry import MODELS
from torch import Tensor

from ...structures import SOURCE, TARGET_UNLABELED, DomainBatch
from ..layers import Pixels
from .base import Adaptation

if TYPE_CHECKING:
    from ..pose_estimators import DomainAdaptiveTopdown


@MODELS.register_module()
class StyleTransfer(Adaptation):
    """Shows source images in the style of target images, and a teacher the reverse.

    Image-level alignment as in Kim et al., "A Unified Framework for Domain Adaptive
    Pose Estimation", ECCV 2022, and Chen et al., "Domain Adaptive Pose Estimation via
    Multi-level Alignment". A style does not move a pose, so the labels stay valid. The
    student sees target images unchanged.

    It has no loss, and thus no ``weight``; ``rampup`` raises both shares. The log shows
    ``source_share`` and ``teacher_share``, the shares of images that were restyled.

    In distributed runs, each rank takes the styles of its own images.

    Args:
        style (dict): Config of the style, such as ``dict(type='AdaINStyle', ...)``.
        share (float): A source image gets the style of a random target image with this
            probability. Defaults to 0.5.
        teacher_share (float): The teacher sees an unlabeled target image in the style
            of a random source image with this probability. Defaults to 0.
        strength (tuple[float, float]): Range of the strength, which is uniform for each
            image. Defaults to (0, 1).
        kwargs: See :class:`Adaptation`.
    """

    needs = (SOURCE, "target")
    priority = 10
    ramps = "share"

    def __init__(
        self,
        style: dict,
        share: float = 0.5,
        teacher_share: float = 0.0,
        strength: Sequence[float] = (0.0, 1.0),
        **kwargs: Any,
    ) -> None:
        if "weight" in kwargs:
            raise ValueError(
                "StyleTransfer has no loss and thus no weight; set share and "
                "teacher_share instead"
            )
        super().__init__(**kwargs)
        for name, value in dict(share=share, teacher_share=teacher_share).items():
            if not 0 <= value <= 1:
                raise ValueError(
                    f"{name} of StyleTransfer must be in [0, 1], but is {value}"
                )
        low, high = strength
        if not 0 <= low <= high <= 1:
            raise ValueError(f"strength must be a range in [0, 1], but is {strength}")
        self.style = MODELS.build(style)
        self.share, self.teacher_share = share, teacher_share
        self.strength = low, high
        if teacher_share:
            self.needs = (SOURCE, TARGET_UNLABELED)
        self._styled: dict[str, float] = {}

    def bind(self, estimator: DomainAdaptiveTopdown) -> None:
        self.pixels = Pixels(estimator.data_preprocessor)

    def prepare(self, batch: DomainBatch) -> None:
        self.style.load()
        source = batch.images[batch.slice(SOURCE)]
        target = batch.images[batch.slice("target")]
        styled, share = self.restyle(source, target, self.ramped(self.share))
        batch.images = torch.cat([styled, target])
        self._styled = dict(source_share=share)
        if self.teacher_share:
            seen = batch.teacher_images
            if seen is None:
                seen = batch.images[batch.slice(TARGET_UNLABELED)]
            batch.teacher_images, self._styled["teacher_share"] = self.restyle(
                seen, source, self.ramped(self.teacher_share)
            )

    def restyle(
        self, content: Tensor, style: Tensor, share: float
    ) -> tuple[Tensor, float]:
        """Give some images the style of random others.

        Args:
            content (Tensor): Preprocessed images (n, 3, H, W).
            style (Tensor): Preprocessed images (m, 3, H, W); m = 0 changes nothing.
            share (float): Probability with which an image is chosen.

        Returns:
            tuple[Tensor, float]: The images (n, 3, H, W), and the share of chosen ones.
        """
        # Drawn on the CPU: reading the count from the device would synchronize.
        chosen = (torch.rand(len(content)) < share).nonzero().flatten()
        if len(chosen) == 0 or len(style) == 0:
            return content, 0.0
        partners = torch.randint(len(style), chosen.shape)
        strength = torch.empty(len(chosen)).uniform_(*self.strength)
        chosen, partners, strength = (
            x.to(content.device) for x in (chosen, partners, strength)
        )
        styled = self.style(
            self.pixels.to_rgb(content[chosen]),
            self.pixels.to_rgb(style[partners]),
            strength,
        )
        styled = self.pixels.from_rgb(styled).to(content.dtype)
        return content.index_copy(0, chosen, styled), len(chosen) / len(content)

    def loss(self, batch: DomainBatch) -> dict[str, Tensor]:
        return {k: batch.images.new_tensor(v) for k, v in self._styled.items()}
