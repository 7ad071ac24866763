from __future__ import annotations

from collections.abc import Sequence

import torch
from mmcv.cnn import ConvModule, build_upsample_layer
from mmengine.model import BaseModule, ModuleList
from mmpose.registry import MODELS
from torch import Tensor, nn

#: How the features of two stages are fused.
FUSIONS = ("add", "concat")


@MODELS.register_module()
class FeatureFusion(BaseModule):
    """FF: fuse the stages of a backbone, from low resolution to high.

    The feature fusion of EFASNet: Xu et al., "Multi-Person Pose Estimation with
    Enhanced Feature Aggregation and Selection", arXiv 2003.10238. For the stages C_2,
    ..., C_5 of a ResNet, at the strides 4 to 32::

        P_5 = conv1x1_5(C_5)
        P_i = conv3x3_i(conv1x1_i(C_i) + up(P_{i+1}))

    P_2 is the output. Batch normalization follows each convolution, and ReLU each 3x3
    one. The abstract does not say how features are upsampled, and whether they are
    added or concatenated: both are arguments.

    Args:
        in_channels (Sequence[int]): Channels of the stages, from high resolution to
            low. Each has half the resolution of the one before.
        channels (int): Channels of the fused features. Defaults to 256.
        fusion (str): ``'add'`` or ``'concat'``. Defaults to ``'add'``.
        upsample_cfg (dict, optional): Config of the layers that double the resolution:
            ``dict(type='nearest')``, ``dict(type='bilinear')``, or a layer with the
            arguments ``in_channels``, ``out_channels`` and ``scale_factor``, such as
            ``dict(type='DUC')``. Defaults to None: nearest.
        norm_cfg (dict, optional): Config of the normalization layers. Defaults to None:
            batch normalization.
        init_cfg (dict, optional): Initialization; see MMEngine's ``BaseModule``.
            Defaults to None.

    Raises:
        ValueError: If there are fewer than two stages, or ``fusion`` is another one.
    """

    def __init__(
        self,
        in_channels: Sequence[int],
        channels: int = 256,
        fusion: str = "add",
        upsample_cfg: dict | None = None,
        norm_cfg: dict | None = None,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(init_cfg)
        if isinstance(in_channels, int) or len(in_channels) < 2:
            raise ValueError(
                f"in_channels must name at least two stages, got {in_channels}; set "
                "out_indices of the backbone to the same stages"
            )
        if fusion not in FUSIONS:
            raise ValueError(f"fusion must be in {FUSIONS}, got {fusion!r}")
        norm_cfg = norm_cfg or dict(type="BN")
        steps = range(len(in_channels) - 1)
        fused = channels if fusion == "add" else 2 * channels
        self.in_channels, self.fusion = tuple(in_channels), fusion
        self.projections = ModuleList(
            ConvModule(stage, channels, 1, norm_cfg=norm_cfg, act_cfg=None)
            for stage in in_channels
        )
        self.upsamples = ModuleList(
            _upsampling(upsample_cfg or dict(type="nearest"), channels) for _ in steps
        )
        self.convs = ModuleList(
            ConvModule(fused, channels, 3, padding=1, norm_cfg=norm_cfg) for _ in steps
        )

    def forward(self, feats: Sequence[Tensor]) -> tuple[Tensor]:
        """Fuse the stages.

        Args:
            feats (Sequence[Tensor]): One (B, C_i, h_i, w_i) for each stage, from high
                resolution to low.

        Returns:
            tuple[Tensor]: One tensor (B, channels, h, w) of the highest resolution.

        Raises:
            ValueError: If there is another number of stages, or a stage does not have
                twice the resolution of the next.
        """
        if len(feats) != len(self.projections):
            raise ValueError(
                f"the backbone gives {len(feats)} feature maps, but in_channels of the "
                f"neck has {len(self.projections)} entries; check out_indices of the "
                "backbone"
            )
        *higher, lowest = (p(x) for p, x in zip(self.projections, feats, strict=True))
        fused = lowest
        for stage in reversed(range(len(higher))):
            raised = _crop(self.upsamples[stage](fused), higher[stage])
            if self.fusion == "add":
                fused = self.convs[stage](higher[stage] + raised)
            else:
                fused = self.convs[stage](torch.cat([higher[stage], raised], 1))
        return (fused,)


def _crop(raised: Tensor, wanted: Tensor) -> Tensor:
    """Crop features to the size of a stage; half of an odd size was rounded up."""
    surplus = [a - b for a, b in zip(raised.shape[2:], wanted.shape[2:], strict=True)]
    if any(pixels not in (0, 1) for pixels in surplus):
        raise ValueError(
            "each stage needs twice the resolution of the next, but "
            f"{tuple(wanted.shape[2:])} is to be fused with an upsampled "
            f"{tuple(raised.shape[2:])}; check strides of the backbone"
        )
    return raised[..., : wanted.shape[2], : wanted.shape[3]]


def _upsampling(cfg: dict, channels: int) -> nn.Module:
    """Build a layer that doubles the resolution."""
    arguments = dict(cfg, scale_factor=2)
    if cfg["type"] not in ("nearest", "bilinear"):
        arguments.update(in_channels=channels, out_channels=channels)
    return build_upsample_layer(arguments)
