import torch
from mmengine.model import BaseDataPreprocessor
from torch import Tensor, nn


class Pixels(nn.Module):
    """Converts a network's input to RGB values and back.

    Views and styles are defined on colors, but computed from preprocessed batches, on
    their device. Mean and standard deviation are those of MMEngine's
    ``ImgDataPreprocessor``. They are not in the state dict.

    Args:
        preprocessor (BaseDataPreprocessor): The estimator's ``data_preprocessor``.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, preprocessor: BaseDataPreprocessor) -> None:
        super().__init__()
        normalizes = getattr(preprocessor, "_enable_normalize", False)
        mean = preprocessor.mean if normalizes else torch.zeros(3, 1, 1)
        std = preprocessor.std if normalizes else torch.ones(3, 1, 1)
        self.register_buffer("mean", mean.detach().clone(), persistent=False)
        self.register_buffer("std", std.detach().clone(), persistent=False)
        # Images are loaded as BGR.
        self.is_rgb = getattr(preprocessor, "_channel_conversion", False)

    def to_rgb(self, images: Tensor) -> Tensor:
        """Convert preprocessed images (B, 3, H, W) to RGB in [0, 1]."""
        pixels = (images * self.std + self.mean) / 255
        return pixels if self.is_rgb else pixels.flip(1)

    def from_rgb(self, pixels: Tensor) -> Tensor:
        """Convert RGB in [0, 1] to preprocessed images (B, 3, H, W)."""
        pixels = pixels if self.is_rgb else pixels.flip(1)
        return (pixels * 255 - self.mean) / self.std
