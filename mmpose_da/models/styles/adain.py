from __future__ import annotations

from pathlib import Path

import torch
from mmpose.registry import MODELS
from torch import Tensor

from ..layers.numerics import promote
from .base import Style
from .vgg import (
    CHANNELS,
    Channels,
    VGGDecoder,
    VGGEncoder,
    check_channels,
    load_encoder,
    load_state,
    part_of,
)


def channel_statistics(features: Tensor, eps: float = 1e-5) -> tuple[Tensor, Tensor]:
    """Compute the mean and standard deviation of each channel of each image.

    As in instance normalization (Huang and Belongie, ICCV 2017, Eq. 5 and 6), they are
    taken over all positions, with the biased variance plus ``eps``.

    Args:
        features (Tensor): (B, C, h, w).
        eps (float): Keeps the square root and its gradient finite. Defaults to 1e-5.

    Returns:
        tuple[Tensor, Tensor]: Both (B, C, 1, 1), in float32 for half precision.
    """
    variance, mean = torch.var_mean(
        promote(features), dim=(2, 3), keepdim=True, correction=0
    )
    return mean, (variance + eps).sqrt()


def adain(content: Tensor, style: Tensor, eps: float = 1e-5) -> Tensor:
    """Adaptive instance normalization.

    Huang and Belongie, "Arbitrary Style Transfer in Real-time with Adaptive Instance
    Normalization", ICCV 2017, Eq. 8, for each image and channel::

        sigma(style) (content - mu(content)) / sigma(content) + mu(style)

    Args:
        content (Tensor): Features (B, C, h, w).
        style (Tensor): Features (B, C, h', w').
        eps (float): See :func:`channel_statistics`. Defaults to 1e-5.

    Returns:
        Tensor: (B, C, h, w), in float32 for half precision.
    """
    mean, std = channel_statistics(content, eps)
    style_mean, style_std = channel_statistics(style, eps)
    return style_std * ((promote(content) - mean) / std) + style_mean


@MODELS.register_module()
class AdaINStyle(Style):
    """Style transfer by adaptive instance normalization of VGG-19 features.

    Huang and Belongie, "Arbitrary Style Transfer in Real-time with Adaptive Instance
    Normalization", ICCV 2017. With the features z of the encoder, the result is
    (Sec. 7.3, Eq. 14)::

        decoder((1 - strength) z_content + strength adain(z_content, z_style))

    A small strength thus gives the decoder's reconstruction of the content, which
    differs from the content. Strength 0 gives the content itself.

    Encoder and decoder are loaded on first use, onto the device of the images. They are
    used in training only, are fixed, and are not in any state dict.

    Args:
        encoder (str, optional): Checkpoint of VGG-19 with torchvision's names, or of
            :class:`ImageAutoencoder` or :class:`AdaINTrainer`, which contain an
            encoder. None leaves it random, for tests. Defaults to
            ``'torchvision://vgg19'``.
        decoder (str, optional): Checkpoint of an :class:`AdaINTrainer` run, or the
            state dict of a :class:`VGGDecoder`. It is needed for use, but not for
            building. Defaults to None.
        channels (Sequence[int | None]): Layout of both; see :class:`VGGEncoder`.
            Defaults to that of VGG-19.
    """

    def __init__(
        self,
        encoder: str | None = "torchvision://vgg19",
        decoder: str | None = None,
        channels: Channels = CHANNELS,
    ) -> None:
        super().__init__()
        self.encoder, self.decoder = encoder, decoder
        self.channels = check_channels(channels)
        # A tuple: submodules would be in every checkpoint of the estimator.
        self._networks: tuple[VGGEncoder, VGGDecoder] | None = None

    def load(self) -> None:
        """Load encoder and decoder.

        Raises:
            FileNotFoundError: If there is no trained decoder.
            ValueError: If a checkpoint lacks the expected weights, or the decoder was
                trained with another encoder.
        """
        if self._networks is not None:
            return
        if self.decoder is None or not _can_exist(self.decoder):
            raise FileNotFoundError(
                f"AdaINStyle needs a trained decoder, but decoder={self.decoder!r} is "
                "not available; train one for the domains, for example with `python "
                "tools/train.py configs/style/adain_coco2mpii.py`, and set decoder="
                "'work_dirs/adain_coco2mpii/iter_N.pth'"
            )
        encoder = load_encoder(self.encoder, self.channels)
        decoder = VGGDecoder(self.channels)
        state = load_state(self.decoder)
        weights = part_of(state, "decoder", decoder)
        if weights is None:
            raise ValueError(
                f"the checkpoint '{self.decoder}' has no decoder ('decoder.0.weight', "
                "...); use a checkpoint of AdaINTrainer"
            )
        trained_with = part_of(state, "encoder", encoder)
        if trained_with is not None and self.encoder is not None:
            own = encoder.state_dict()
            if not all(torch.equal(own[key], trained_with[key]) for key in own):
                raise ValueError(
                    f"the decoder '{self.decoder}' was trained with another encoder "
                    f"than '{self.encoder}'"
                )
        decoder.load_state_dict(weights)
        self._networks = encoder.eval(), decoder.eval().requires_grad_(False)

    def transfer(self, content: Tensor, style: Tensor, strength: Tensor) -> Tensor:
        self.load()
        assert self._networks is not None
        encoder, decoder = (network.to(content.device) for network in self._networks)
        z, z_style = encoder(torch.cat([content, style]))[-1].chunk(2)
        return promote(decoder(promote(z).lerp(adain(z, z_style), strength)))


def _can_exist(checkpoint: str) -> bool:
    """Return whether it is a file or a location such as ``https://...``."""
    return "://" in checkpoint or Path(checkpoint).expanduser().is_file()
