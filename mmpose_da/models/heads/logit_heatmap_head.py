from __future__ import annotations

import math
from typing import Any

from mmengine.logging import print_log
from mmpose.models.heads import HeatmapHead
from mmpose.registry import MODELS
from mmpose.utils.typing import ConfigType, InstanceList, OptConfigType
from torch import Tensor

from ..layers.marginal_heatmaps import spatial_softmax


@MODELS.register_module()
class LogitHeatmapHead(HeatmapHead):
    """MMPose's ``HeatmapHead`` whose output are logits of a softmax over positions.

    The head of Jiang et al., "Regressive Domain Adaptation for Unsupervised Keypoint
    Detection", CVPR 2021 (RegDA). The regressor of the paper, two layers on the
    decoder's features, is ``conv_layers`` and ``final_layer``; the features are the
    output of ``deconv_layers``.

    The state dict has the keys of ``HeatmapHead``. This head differs in the default
    loss and in what is decoded: heatmaps (:meth:`heatmaps`) in place of logits, whose
    height means nothing and of which MMPose's codecs take no logarithm.

    A checkpoint of a head without these ``conv_layers`` starts the regressor anew: its
    ``final_layer``, which reads other features, is not loaded.

    Args:
        in_channels (int | Sequence[int]): Channels of the feature maps.
        out_channels (int): Number of joints K.
        loss (dict): Config of the loss, which takes logits. Defaults to
            ``dict(type='KeypointKLLoss')``.
        decoder (dict, optional): Config of a codec of Gaussian heatmaps,
            ``MSRAHeatmap`` or ``UDPHeatmap``. Defaults to None: no decoder.
        kwargs: Other arguments of ``HeatmapHead``. ``conv_out_channels`` and
            ``conv_kernel_sizes`` set the regressor's layers before its last one.

    Raises:
        ValueError: If the codec has no Gaussian.
    """

    def __init__(
        self,
        in_channels: Any,
        out_channels: int,
        loss: ConfigType = dict(type="KeypointKLLoss"),  # noqa: B006 - not changed
        decoder: OptConfigType = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            in_channels, out_channels, loss=loss, decoder=decoder, **kwargs
        )
        heatmap_type = getattr(self.decoder, "heatmap_type", "gaussian")
        is_gaussian = hasattr(self.decoder, "sigma") and heatmap_type == "gaussian"
        if decoder is not None and not is_gaussian:
            raise ValueError(
                "the decoder of a LogitHeatmapHead must be a codec of Gaussian "
                f"heatmaps, MSRAHeatmap or UDPHeatmap, but is {decoder}"
            )

    def heatmaps(self, logits: Tensor) -> Tensor:
        """Convert logits to heatmaps of the codec's height.

        Args:
            logits (Tensor): Shape (B, K, h, w).

        Returns:
            Tensor: Their softmax over positions times the sum of the codec's Gaussian,
            2 pi sigma^2: a prediction that equals the label has height 1. A sharper one
            is scaled to height 1.
        """
        heatmaps = 2 * math.pi * self.decoder.sigma**2 * spatial_softmax(logits)
        return heatmaps / heatmaps.amax(dim=(2, 3), keepdim=True).clamp(min=1)

    def decode(self, batch_outputs: Tensor) -> InstanceList:
        """Decode the joints of logits (B, K, h, w); see ``HeatmapHead``."""
        return super().decode(self.heatmaps(batch_outputs))

    def _load_state_dict_pre_hook(
        self, state_dict: dict, prefix: str, local_meta: dict, *args: Any, **kwargs: Any
    ) -> None:
        super()._load_state_dict_pre_hook(
            state_dict, prefix, local_meta, *args, **kwargs
        )
        own = [f"{prefix}conv_layers.{name}" for name in self.conv_layers.state_dict()]
        if not own or any(key in state_dict for key in own):
            return
        dropped = [key for key in state_dict if key.startswith(f"{prefix}final_layer.")]
        for key in dropped:
            del state_dict[key]
        if dropped:
            print_log(
                f"{dropped} not loaded: the checkpoint's head has no conv_layers",
                "current",
            )
