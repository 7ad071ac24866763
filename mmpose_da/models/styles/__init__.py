from .adain import AdaINStyle, adain, channel_statistics
from .adain_trainer import AdaINTrainer
from .base import Style
from .color_statistics import ColorStatisticsStyle
from .fourier import FourierStyle
from .image_autoencoder import ImageAutoencoder
from .vgg import VGGDecoder, VGGEncoder

__all__ = [
    "AdaINStyle",
    "AdaINTrainer",
    "ColorStatisticsStyle",
    "FourierStyle",
    "ImageAutoencoder",
    "Style",
    "VGGDecoder",
    "VGGEncoder",
    "adain",
    "channel_statistics",
]
