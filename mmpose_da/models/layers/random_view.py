from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from mmpose.registry import MODELS
from torch import Tensor, nn
from torchvision.transforms.functional import gaussian_blur

from .numerics import full_precision
from .warp import affine_matrices, warp

# Luma of an RGB colour (ITU-R BT.601), as in torchvision.
LUMA = (0.299, 0.587, 0.114)
# RGB to luma and the two chroma axes of the NTSC standard, in whose plane hue turns.
YIQ = (LUMA, (0.5959, -0.2746, -0.3213), (0.2115, -0.5227, 0.3112))


@dataclass
class View:
    """What became of a batch of crops.

    Attributes:
        images (Tensor): (B, 3, H, W) RGB in [0, 1].
        matrices (Tensor): (B, 3, 3) from pixels of the crops to pixels of the view.
        flipped (Tensor): (B,) bool, whether the view is a mirror image.
    """

    images: Tensor
    matrices: Tensor
    flipped: Tensor

    def to(self, other: View) -> tuple[Tensor, Tensor]:
        """The way from this view to another one of the same crops.

        Returns:
            tuple[Tensor, Tensor]: Matrices (B, 3, 3), and (B,) whether one is the
            mirror image of the other.
        """
        with full_precision(self.matrices):
            matrices = other.matrices @ torch.linalg.inv(self.matrices)
        return matrices, self.flipped ^ other.flipped


@MODELS.register_module()
class RandomView(nn.Module):
    """A random view of each crop of a batch: its geometry and its colours change.

    All images are done at once, on the device that they are on, each with its own
    random numbers. Without arguments it gives the crops themselves.

    Args:
        rotation (float): Up to so many degrees, either way. Defaults to 0.
        scale (tuple[float, float]): Range of the factor, drawn evenly on a logarithmic
            scale. Defaults to (1, 1).
        shear (float): Up to so many degrees, either way. Defaults to 0.
        translation (float): Up to this share of the sides, any way. Defaults to 0.
        flip_prob (float): Probability of the mirror image. Defaults to 0.
        brightness, contrast, saturation (float): Up to which share each may go up or
            down, as in torchvision's ``ColorJitter``. Default to 0.
        hue (float): Up to which share of the circle the hue turns, either way; the
            luma stays, as in the YIQ space. Defaults to 0.
        blur (tuple[float, float]): Range of the standard deviation of a Gaussian blur
            in pixels, one for the whole batch. Defaults to (0, 0).
        noise (float): Standard deviation of noise in every value, of 1. Defaults to 0.
    """

    def __init__(
        self,
        rotation: float = 0.0,
        scale: Sequence[float] = (1.0, 1.0),
        shear: float = 0.0,
        translation: float = 0.0,
        flip_prob: float = 0.0,
        brightness: float = 0.0,
        contrast: float = 0.0,
        saturation: float = 0.0,
        hue: float = 0.0,
        blur: Sequence[float] = (0.0, 0.0),
        noise: float = 0.0,
    ) -> None:
        super().__init__()
        shares = dict(
            flip_prob=flip_prob,
            brightness=brightness,
            contrast=contrast,
            saturation=saturation,
            translation=translation,
        )
        for name, value in shares.items():
            if not 0 <= value <= 1:
                raise ValueError(f"{name} must be in [0, 1], but is {value}")
        if not 0 <= hue <= 0.5:
            raise ValueError(f"hue must be in [0, 0.5], but is {hue}")
        if not 0 < scale[0] <= scale[1]:
            raise ValueError(f"scale must be a range of positive factors, not {scale}")
        if not 0 <= blur[0] <= blur[1]:
            raise ValueError(f"blur must be a range from 0 on, but is {blur}")
        self.rotation, self.scale, self.shear = rotation, tuple(scale), shear
        self.translation, self.flip_prob = translation, flip_prob
        self.brightness, self.contrast = brightness, contrast
        self.saturation, self.hue = saturation, hue
        self.blur, self.noise = tuple(blur), noise

    @torch.no_grad()
    def forward(self, crops: Tensor) -> View:
        """Make a view of crops (B, 3, H, W), RGB in [0, 1]."""
        with full_precision(crops):  # half of it is off by pixels and shades
            images = crops
            if self.brightness or self.contrast or self.saturation or self.hue:
                images = self._change_colours(images)
            if self.blur[1] > 0:
                # Not on the device, which would have to be waited for.
                sigma = max(torch.empty(()).uniform_(*self.blur).item(), 1e-3)
                images = gaussian_blur(images, 2 * math.ceil(2 * sigma) + 1, sigma)
            matrices, flipped = self._geometry(crops)
            if self._moves():
                images = warp(images, matrices)
            if self.noise:
                images = images + self.noise * torch.randn_like(images)
        return View(images.clamp(0, 1), matrices, flipped)

    def _moves(self) -> bool:
        still = (0, (1, 1), 0, 0, 0)
        return still != (
            *(self.rotation, self.scale, self.shear),
            *(self.translation, self.flip_prob),
        )

    def _geometry(self, crops: Tensor) -> tuple[Tensor, Tensor]:
        count, _, height, width = crops.shape
        log_scale = _uniform(crops, (count,), *(math.log(s) for s in self.scale))
        shift = _uniform(crops, (count, 2), -self.translation, self.translation)
        flipped = torch.rand(count, device=crops.device) < self.flip_prob
        matrices = affine_matrices(
            (height, width),
            _uniform(crops, (count,), -self.rotation, self.rotation),
            log_scale.exp(),
            _uniform(crops, (count,), -self.shear, self.shear),
            shift * shift.new_tensor([width, height]),
            flipped,
        )
        return matrices, flipped

    def _change_colours(self, images: Tensor) -> Tensor:
        """Brightness, contrast, saturation and hue, as one affine map of the colour."""
        count = len(images)
        luma = images.new_tensor(LUMA)

        def factor(jitter: float) -> Tensor:
            return _uniform(images, (count, 1, 1), 1 - jitter, 1 + jitter)

        bright, contrast = factor(self.brightness), factor(self.contrast)
        saturation = factor(self.saturation)
        grey = torch.ones_like(luma)[:, None] * luma
        turn = self._hue_rotation(images)
        linear = turn @ (saturation * torch.eye(3).to(images) + (1 - saturation) * grey)
        linear = contrast * bright * linear
        # The contrast is about the mean luma of the brightened image; saturation and
        # hue leave that value, a grey, as it is.
        mean = bright[:, 0] * (images.mean(dim=(2, 3)) @ luma)[:, None]
        offset = (1 - contrast[:, 0]) * mean
        mixed = torch.einsum("bij,bjhw->bihw", linear, images)
        return (mixed + offset[..., None, None]).clamp(0, 1)

    def _hue_rotation(self, images: Tensor) -> Tensor:
        """(B, 3, 3) rotations of the colours about the grey axis."""
        angle = _uniform(images, (len(images),), -self.hue, self.hue) * 2 * math.pi
        to_yiq = images.new_tensor(YIQ)
        rotation = torch.eye(3).to(images).repeat(len(images), 1, 1)
        rotation[:, 1, 1] = rotation[:, 2, 2] = angle.cos()
        rotation[:, 1, 2], rotation[:, 2, 1] = -angle.sin(), angle.sin()
        return torch.linalg.inv(to_yiq) @ rotation @ to_yiq


def _uniform(like: Tensor, shape: tuple[int, ...], low: float, high: float) -> Tensor:
    """Random numbers between two bounds, on the device of a tensor."""
    return low + (high - low) * torch.rand(shape, device=like.device)
