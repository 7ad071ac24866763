from __future__ import annotations

from typing import Any

from mmpose.models.backbones.resnet import Bottleneck, ResLayer, ResNet
from mmpose.registry import MODELS
from torch import nn

from ..layers.feature_aggregation_selection import FeatureAggregationSelection


class FASMBottleneck(Bottleneck):
    """A bottleneck of a ResNet whose 3x3 convolution is a FASM.

    See :class:`~mmpose_da.models.layers.FeatureAggregationSelection`. Everything else
    is that of :class:`mmpose.models.backbones.resnet.Bottleneck`, including the
    normalization and ReLU after the 3x3 convolution, and the names of the weights.

    Args:
        args: See MMPose's ``Bottleneck``.
        num_groups (int): Number of groups of the FASM. Defaults to 4.
        selection (str, optional): Selection of the FASM. Defaults to ``'softmax'``.
        reduction (int): Reduction of the FASM. Defaults to 16.
        kwargs: See MMPose's ``Bottleneck``.
    """

    def __init__(
        self,
        *args: Any,
        num_groups: int = 4,
        selection: str | None = "softmax",
        reduction: int = 16,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self.conv2 = FeatureAggregationSelection(
            self.mid_channels,
            num_groups,
            stride=self.conv2_stride,
            dilation=self.dilation,
            selection=selection,
            reduction=reduction,
            conv_cfg=self.conv_cfg,
            norm_cfg=self.norm_cfg,
        )


@MODELS.register_module()
class EFASNet(ResNet):
    """The backbone of EFASNet: a ResNet with FASMs for 3x3 convolutions.

    Xu et al., "Multi-Person Pose Estimation with Enhanced Feature Aggregation and
    Selection", arXiv 2003.10238. All bottlenecks are :class:`FASMBottleneck` blocks.
    Weights of a ResNet, such as ``torchvision://resnet50``, load into everything but
    ``conv2`` of the blocks, whose keys the log names as missing.

    Args:
        depth (int): 50, 101, or 152.
        num_groups (int): Number of groups of a FASM. Defaults to 4.
        selection (str, optional): How a FASM selects among its groups: ``'softmax'``,
            or None for aggregation alone, as in a Res2Net. Defaults to ``'softmax'``.
        reduction (int): Reduction of the selection. Defaults to 16.
        kwargs: All arguments of :class:`mmpose.models.ResNet`.

    Raises:
        ValueError: If ``depth`` is another one, or an argument does not suit a
            :class:`~mmpose_da.models.layers.FeatureAggregationSelection`.
    """

    arch_settings = {
        depth: (FASMBottleneck, num_blocks)
        for depth, (block, num_blocks) in ResNet.arch_settings.items()
        if block is Bottleneck
    }

    def __init__(
        self,
        depth: int,
        num_groups: int = 4,
        selection: str | None = "softmax",
        reduction: int = 16,
        **kwargs: Any,
    ) -> None:
        if depth not in self.arch_settings:
            raise ValueError(
                f"EFASNet has a depth of {', '.join(map(str, self.arch_settings))}, "
                f"got depth={depth}"
            )
        # ResNet's constructor makes the layers.
        self.fasm = dict(
            num_groups=num_groups, selection=selection, reduction=reduction
        )
        super().__init__(depth, **kwargs)

    def make_res_layer(self, **kwargs: Any) -> nn.Module:
        """Make a stage of :class:`FASMBottleneck` blocks."""
        return ResLayer(**self.fasm, **kwargs)
