from __future__ import annotations

from mmengine.model import BaseModel
from mmpose.registry import MODELS
from mmpose.utils.typing import SampleList
from torch import Tensor
from torch.nn import functional as F

from ..layers import Pixels
from ..layers.numerics import promote
from .vgg import Channels, VGGDecoder, VGGEncoder


@MODELS.register_module()
class ImageAutoencoder(BaseModel):
    """Trains an encoder for :class:`AdaINStyle` where VGG-19 is not available.

    An encoder and its mirrored decoder reproduce the images of both domains, with the
    mean squared error of colors in [0, 1] as the loss. A checkpoint of the run serves
    as the ``encoder`` of :class:`AdaINTrainer` and ``AdaINStyle``, and as the start of
    the former, ``load_from``. Unlike the features of VGG-19, these were not trained to
    recognize objects.

    Args:
        channels (Sequence[int | None]): Layout of both; see
            :class:`~mmpose_da.models.styles.VGGEncoder`.
        data_preprocessor (dict, optional): Any that normalizes with a mean and a
            standard deviation.
    """

    def __init__(
        self,
        channels: Channels,
        data_preprocessor: dict | None = None,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(data_preprocessor, init_cfg)
        self.encoder, self.decoder = VGGEncoder(channels), VGGDecoder(channels)
        self.encoder.requires_grad_(True)
        self.pixels = Pixels(self.data_preprocessor)

    def forward(
        self, inputs: Tensor, data_samples: SampleList, mode: str = "tensor"
    ) -> dict[str, Tensor] | tuple[Tensor, Tensor]:
        """Compute the loss or images.

        Args:
            inputs (Tensor): Preprocessed images (B, 3, H, W).
            data_samples (list[PoseDataSample]): Their samples; not used.
            mode (str): ``'loss'`` or ``'tensor'``. Defaults to ``'tensor'``.

        Returns:
            dict[str, Tensor] | tuple[Tensor, Tensor]: The loss; or images and how they
            are reproduced, each (B, 3, H, W), RGB in [0, 1].
        """
        pixels = self.pixels.to_rgb(inputs)
        result = promote(self.decoder(self.encoder(pixels)[-1]))
        if mode == "tensor":
            return pixels, result.clamp(0, 1)
        if mode != "loss":
            raise ValueError(f"mode='{mode}' is neither 'loss' nor 'tensor'")
        return dict(loss=F.mse_loss(result, pixels))
