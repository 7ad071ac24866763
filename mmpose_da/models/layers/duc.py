from __future__ import annotations

import torch
from mmcv.cnn import build_norm_layer
from mmengine.model import BaseModule
from mmpose.registry import MODELS
from torch import Tensor, nn


@MODELS.register_module()
class DUC(BaseModule):
    """Dense upsampling convolution: a convolution that gives r x r pixels for each one.

    Wang et al., "Understanding Convolution for Semantic Segmentation", WACV 2018, Sec.
    3.1: a 3x3 convolution to r^2 C channels, batch normalization, ReLU, and a pixel
    shuffle by r. As an upsampling layer of MMCV, it has the arguments of
    ``pixel_shuffle``.

    With ``equal_subpixels``, it starts as nearest-neighbor upsampling of a 3x3
    convolution: the filters of the r^2 sub-pixels of an output channel start equal, so
    that the output starts without checkerboards (Aitken et al., "Checkerboard Artifact
    Free Sub-pixel Convolution", 2017, Sec. 3.2). This also holds through batch
    normalization, since equal channels have equal statistics. The filters are made
    equal after any initialization from the config, such as that of a head.

    Args:
        in_channels (int): Channels of the input.
        out_channels (int): Channels C of the output.
        scale_factor (int): Factor r. Defaults to 2.
        equal_subpixels (bool): Whether the sub-pixels start equal. Else they start
            independently. Defaults to True.
        norm_cfg (dict, optional): Config of the normalization layer. Defaults to None:
            batch normalization.
        init_cfg (dict, optional): Initialization; see MMEngine's ``BaseModule``.
            Defaults to None.

    Raises:
        ValueError: If ``scale_factor`` is less than 2.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        scale_factor: int = 2,
        equal_subpixels: bool = True,
        norm_cfg: dict | None = None,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(init_cfg)
        if scale_factor < 2:
            raise ValueError(f"scale_factor must be at least 2, got {scale_factor}")
        self.scale_factor = scale_factor
        self.equal_subpixels = equal_subpixels
        channels = out_channels * scale_factor**2
        # No ConvModule, which would undo the initialization of a head.
        self.conv = nn.Conv2d(in_channels, channels, 3, padding=1, bias=False)
        self.norm = build_norm_layer(norm_cfg or dict(type="BN"), channels)[1]
        self.relu = nn.ReLU(inplace=True)
        self.shuffle = nn.PixelShuffle(scale_factor)
        self._equalize()

    def init_weights(self) -> None:
        """Initialize as the config says, then make the sub-pixels equal, once."""
        first = not self.is_init
        super().init_weights()
        if first:
            self._equalize()

    @torch.no_grad()
    def _equalize(self) -> None:
        """Give all sub-pixels of an output channel the filter of the first."""
        if self.equal_subpixels:
            weight, copies = self.conv.weight, self.scale_factor**2
            weight.copy_(weight[::copies].repeat_interleave(copies, 0))

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, in_channels, h, w) to (B, out_channels, r h, r w)."""
        return self.shuffle(self.relu(self.norm(self.conv(x))))
