import torch
from torch import Tensor, nn


class Pixels(nn.Module):
    """The way from a network's input to RGB values and back.

    Views and styles are made of preprocessed batches, on their device; what they do is
    defined on colours. The values are those that MMEngine's ``ImgDataPreprocessor``
    was given; in the state dict there is nothing.

    Args:
        preprocessor (nn.Module): The estimator's ``data_preprocessor``.
    """

    def __init__(self, preprocessor: nn.Module) -> None:
        super().__init__()
        normalizes = getattr(preprocessor, "_enable_normalize", False)
        mean = preprocessor.mean if normalizes else torch.zeros(3, 1, 1)
        std = preprocessor.std if normalizes else torch.ones(3, 1, 1)
        self.register_buffer("mean", mean.detach().clone(), persistent=False)
        self.register_buffer("std", std.detach().clone(), persistent=False)
        # Images are loaded as BGR.
        self.is_rgb = getattr(preprocessor, "_channel_conversion", False)

    def to_rgb(self, images: Tensor) -> Tensor:
        """Preprocessed images (B, 3, H, W) to RGB in [0, 1]."""
        pixels = (images * self.std + self.mean) / 255
        return pixels if self.is_rgb else pixels.flip(1)

    def from_rgb(self, pixels: Tensor) -> Tensor:
        """RGB in [0, 1] to preprocessed images (B, 3, H, W)."""
        pixels = pixels if self.is_rgb else pixels.flip(1)
        return (pixels * 255 - self.mean) / self.std
