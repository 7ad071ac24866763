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

# Luma of an RGB color (ITU-R BT.601), as in torchvision.
LUMA = (0.299, 0.587, 0.114)
# RGB to luma and the two NTSC chroma axes; hue rotates in their plane.
YIQ = (LUMA, (0.5959, -0.2746, -0.3213), (0.2115, -0.5227, 0.3112))


@dataclass
class View:
    """A transformed batch of crops.

    Attributes:
        images (Tensor): (B, 3, H, W) RGB in [0, 1].
        matrices (Tensor): (B, 3, 3) from pixels of the crops to pixels of the view.
        flipped (Tensor): (B,) bool, whether the view is a mirror image.
    """

    images: Tensor
    matrices: Tensor
    flipped: Tensor

    @classmethod
    def of(cls, crops: Tensor) -> View:
        """Return the view that shows crops (B, 3, H, W) as they are."""
        matrices = torch.eye(3, device=crops.device).repeat(len(crops), 1, 1)
        flipped = torch.zeros(len(crops), dtype=torch.bool, device=crops.device)
        return cls(crops, matrices, flipped)

    def to(self, other: View) -> tuple[Tensor, Tensor]:
        """Return the transform from this view to another view of the same crops.

        Returns:
            tuple[Tensor, Tensor]: Matrices (B, 3, 3), and (B,) whether one is the
            mirror image of the other.
        """
        with full_precision(self.matrices):
            matrices = other.matrices @ torch.linalg.inv(self.matrices)
        return matrices, self.flipped ^ other.flipped


@MODELS.register_module()
class RandomView(nn.Module):
    """Random view of each crop in a batch, with changed geometry and colors.

    All images are processed at once, on their device, each with its own random numbers.
    Without arguments, the crops are unchanged.

    Args:
        rotation (float): Maximum angle in degrees, in both directions. Defaults to 0.
        scale (tuple[float, float]): Range of the factor, which is log-uniform. Defaults
            to (1, 1).
        shear (float): Maximum angle in degrees, in both directions. Defaults to 0.
        translation (float): Maximum shift, as a fraction of each side. Defaults to 0.
        flip_prob (float): Probability of a mirror image. Defaults to 0.
        brightness, contrast, saturation (float): Maximum relative change of each, up or
            down, as in torchvision's ``ColorJitter``. Default to 0.
        hue (float): Maximum rotation of the hue in both directions, as a fraction of
            the circle. The luma is kept, as in YIQ space. Defaults to 0.
        blur (tuple[float, float]): Range of the standard deviation of a Gaussian blur
            in pixels, one for the whole batch. Defaults to (0, 0).
        noise (float): Standard deviation of the noise added to each value, relative to
            the range [0, 1]. Defaults to 0.
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
            raise ValueError(f"blur must be a range of numbers >= 0, but is {blur}")
        self.rotation, self.scale, self.shear = rotation, tuple(scale), shear
        self.translation, self.flip_prob = translation, flip_prob
        self.brightness, self.contrast = brightness, contrast
        self.saturation, self.hue = saturation, hue
        self.blur, self.noise = tuple(blur), noise

    @torch.no_grad()
    def forward(self, crops: Tensor) -> View:
        """Make a view of crops (B, 3, H, W), RGB in [0, 1]."""
        with full_precision(crops):  # half precision is off by pixels and shades
            images = crops
            if self.brightness or self.contrast or self.saturation or self.hue:
                images = self._change_colors(images)
            if self.blur[1] > 0:
                # Drawn on the CPU: reading it from the device would synchronize.
                sigma = max(torch.empty(()).uniform_(*self.blur).item(), 1e-3)
                images = gaussian_blur(images, 2 * math.ceil(2 * sigma) + 1, sigma)
            matrices, flipped = self._geometry(crops)
            if self.moves:
                images = warp(images, matrices)
            if self.noise:
                images = images + self.noise * torch.randn_like(images)
        return View(images.clamp(0, 1), matrices, flipped)

    @property
    def moves(self) -> bool:
        """Whether it changes the geometry, and not colors and sharpness alone."""
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

    def _change_colors(self, images: Tensor) -> Tensor:
        """Change brightness, contrast, saturation, and hue in one affine color map."""
        count = len(images)
        luma = images.new_tensor(LUMA)

        def factor(jitter: float) -> Tensor:
            return _uniform(images, (count, 1, 1), 1 - jitter, 1 + jitter)

        bright, contrast = factor(self.brightness), factor(self.contrast)
        saturation = factor(self.saturation)
        gray = torch.ones_like(luma)[:, None] * luma
        turn = self._hue_rotation(images)
        linear = turn @ (saturation * torch.eye(3).to(images) + (1 - saturation) * gray)
        linear = contrast * bright * linear
        # The contrast changes around the mean luma of the brightened image. Saturation
        # and hue leave this value, a gray, unchanged.
        mean = bright[:, 0] * (images.mean(dim=(2, 3)) @ luma)[:, None]
        offset = (1 - contrast[:, 0]) * mean
        mixed = torch.einsum("bij,bjhw->bihw", linear, images)
        return (mixed + offset[..., None, None]).clamp(0, 1)

    def _hue_rotation(self, images: Tensor) -> Tensor:
        """Return rotations (B, 3, 3) of the colors around the gray axis."""
        angle = _uniform(images, (len(images),), -self.hue, self.hue) * 2 * math.pi
        to_yiq = images.new_tensor(YIQ)
        rotation = torch.eye(3).to(images).repeat(len(images), 1, 1)
        rotation[:, 1, 1] = rotation[:, 2, 2] = angle.cos()
        rotation[:, 1, 2], rotation[:, 2, 1] = -angle.sin(), angle.sin()
        return torch.linalg.inv(to_yiq) @ rotation @ to_yiq


def _uniform(like: Tensor, shape: tuple[int, ...], low: float, high: float) -> Tensor:
    """Return random numbers between two bounds, on the device of a tensor."""
    return low + (high - low) * torch.rand(shape, device=like.device)
