from __future__ import annotations

import torch
from mmengine.model import BaseModel
from mmpose.registry import MODELS
from mmpose.utils.typing import SampleList
from torch import Tensor
from torch.nn import functional as F

from ...structures import SOURCE, DomainBatch
from ..layers import Pixels
from ..layers.numerics import promote, total
from .adain import adain, channel_statistics
from .vgg import CHANNELS, Channels, VGGDecoder, VGGEncoder, load_encoder


@MODELS.register_module()
class AdaINTrainer(BaseModel):
    """Trains the decoder of :class:`AdaINStyle` on the images of two domains.

    Huang and Belongie, "Arbitrary Style Transfer in Real-time with Adaptive Instance
    Normalization", ICCV 2017, Sec. 6.2. The images of each domain serve as content,
    with those of the other domain as style. With the target features t,
    ``adain(content, style)``, and the encoder's features of the decoded t::

        loss_content = MSE(relu4_1, t)
        loss_style = style_weight * sum over relu1_1, relu2_1, relu3_1, and relu4_1 of
                     MSE(mu, mu of the style) + MSE(sigma, sigma of the style)

    Only the decoder is trained. A checkpoint of the run serves as the ``decoder`` of
    ``AdaINStyle``.

    Args:
        encoder (str, optional): See :class:`AdaINStyle`. It is loaded when training
            initializes the weights.
        channels (Sequence[int | None]): Layout of encoder and decoder; see
            :class:`AdaINStyle`. Defaults to that of VGG-19.
        style_weight (float): Factor of the style loss. Defaults to 10.0, as in the
            paper.
        data_preprocessor (dict, optional): Any that normalizes with a mean and a
            standard deviation; the losses are computed on colors in [0, 1].
    """

    def __init__(
        self,
        encoder: str | None = "torchvision://vgg19",
        channels: Channels = CHANNELS,
        style_weight: float = 10.0,
        data_preprocessor: dict | None = None,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(data_preprocessor, init_cfg)
        self.encoder, self.decoder = VGGEncoder(channels), VGGDecoder(channels)
        self.channels = channels
        self.encoder_checkpoint = encoder
        self.style_weight = style_weight
        self.pixels = Pixels(self.data_preprocessor)

    def init_weights(self) -> None:
        super().init_weights()
        if self.encoder_checkpoint is not None:
            loaded = load_encoder(self.encoder_checkpoint, self.channels)
            self.encoder.load_state_dict(loaded.state_dict())

    def forward(
        self, inputs: Tensor, data_samples: SampleList, mode: str = "tensor"
    ) -> dict[str, Tensor] | tuple[Tensor, Tensor, Tensor]:
        """Compute losses or images.

        Args:
            inputs (Tensor): Preprocessed images (B, 3, H, W), source first.
            data_samples (list[PoseDataSample]): Their samples, each with a ``domain``.
            mode (str): ``'loss'`` or ``'tensor'``. Defaults to ``'tensor'``.

        Returns:
            dict[str, Tensor] | tuple[Tensor, Tensor, Tensor]: The losses; or content,
            style, and result at full strength, each (B, 3, H, W), RGB in [0, 1].
        """
        content = self.pixels.to_rgb(inputs)
        style = content[self.partners(DomainBatch(data_samples, inputs))]
        style_features = self.encoder(style)
        wanted = adain(self.encoder(content)[-1], style_features[-1])
        result = self.decoder(wanted)
        if mode == "tensor":
            return content, style, promote(result).clamp(0, 1)
        if mode != "loss":
            raise ValueError(f"mode='{mode}' is neither 'loss' nor 'tensor'")

        features = self.encoder(result)
        loss_style = total(
            F.mse_loss(statistic, of_style)
            for f, f_style in zip(features, style_features, strict=True)
            for statistic, of_style in zip(
                channel_statistics(f), channel_statistics(f_style), strict=True
            )
        )
        return dict(
            loss_content=F.mse_loss(promote(features[-1]), wanted),
            loss_style=self.style_weight * loss_style,
        )

    @staticmethod
    def partners(batch: DomainBatch) -> Tensor:
        """Return, for each image, the index (B,) of an image of the other domain.

        Images of the shorter side are reused. Batches are shuffled, so no further
        randomness is needed.
        """
        source, target = len(batch[SOURCE]), len(batch["target"])
        if not source or not target:
            raise ValueError(
                "AdaINTrainer needs images of source and target in every batch, but "
                f"this batch has {source} and {target}; see samples_per_domain"
            )
        index = torch.arange(len(batch), device=batch.images.device)
        return torch.where(
            index < source, source + index % target, (index - source) % source
        )
