from __future__ import annotations

import torch
import torch.nn.functional as F
from mmcv.cnn import ConvModule, build_norm_layer
from torch import Tensor, nn

#: What chooses among the scales of :class:`FeatureAggregationSelection`.
SELECTIONS = ("softmax", None)
# The least width of the descriptor in Li et al., "Selective Kernel Networks".
_MIN_HIDDEN = 32


class GroupSelection(nn.Module):
    """Weight the groups of channels against each other, for each image and channel.

    Li et al., "Selective Kernel Networks", CVPR 2019, Sec. 3.1. For groups y_1, ...,
    y_s of C channels each::

        z = relu(norm(W mean_xy(y_1 + ... + y_s)))
        a_1, ..., a_s = softmax over the groups of V_1 z + c_1, ..., V_s z + c_s

    V and c start at zero, so that all groups start with the weight 1 / s: the network
    starts as plain aggregation, and the normalization layer that follows in a
    bottleneck removes the common factor.

    In training, batch normalization of z needs at least two images.

    Args:
        channels (int): Number C of channels of a group.
        num_groups (int): Number s of groups.
        reduction (int): z has ``channels // reduction`` entries, but at least 32, and
            at most ``channels``. Defaults to 16.
        norm_cfg (dict, optional): Config of the normalization layer. Defaults to None:
            batch normalization.
    """

    def __init__(
        self,
        channels: int,
        num_groups: int,
        reduction: int = 16,
        norm_cfg: dict | None = None,
    ) -> None:
        super().__init__()
        hidden = min(max(channels // reduction, _MIN_HIDDEN), channels)
        self.num_groups = num_groups
        self.squeeze = nn.Linear(channels, hidden, bias=False)
        self.norm = build_norm_layer(norm_cfg or dict(type="BN"), hidden)[1]
        self.select = nn.Linear(hidden, num_groups * channels)
        nn.init.zeros_(self.select.weight)
        nn.init.zeros_(self.select.bias)

    def forward(self, groups: Tensor) -> Tensor:
        """Compute the weights.

        Args:
            groups (Tensor): Shape (B, s, C, h, w).

        Returns:
            Tensor: Shape (B, s, C, 1, 1); the sum over the groups is 1.
        """
        descriptor = self.squeeze(groups.sum(1).mean((2, 3)))[..., None, None]
        hidden = F.relu(self.norm(descriptor)).flatten(1)
        logits = self.select(hidden).unflatten(1, (self.num_groups, -1))
        return logits.softmax(1)[..., None, None].to(groups.dtype)


class FeatureAggregationSelection(nn.Module):
    """FASM, the feature aggregation and selection module: a convolution of many scales.

    Xu et al., "Multi-Person Pose Estimation with Enhanced Feature Aggregation and
    Selection" (EFASNet), arXiv 2003.10238. It takes the place of the 3x3 convolution of
    a bottleneck. The channels are cut into s groups x_1, ..., x_s, which are aggregated
    hierarchically, so that each sees a larger field than the one before::

        y_1 = x_1,   y_i = conv3x3_i(x_i + y_{i-1})

    Then weights a_i, for each image and channel, select among them
    (:class:`GroupSelection`), and the output is the concatenation of a_i * y_i.

    The abstract names both steps. The rest is filled in from the works that it builds
    on. Aggregation is that of Gao et al., "Res2Net", TPAMI 2019: batch normalization
    and ReLU follow each 3x3 convolution. With a stride, there is no hierarchy, because
    y_{i-1} is smaller than x_i: y_1 is the 3x3 average of x_1, and y_i = conv3x3_i(x_i)
    has the stride.

    Args:
        channels (int): Number of channels, in and out.
        num_groups (int): Number s of groups. Defaults to 4.
        stride (int): Stride. Defaults to 1.
        dilation (int): Dilation of the 3x3 convolutions. Defaults to 1.
        selection (str, optional): ``'softmax'`` over the groups, or None for
            aggregation without selection. Defaults to ``'softmax'``.
        reduction (int): Reduction of :class:`GroupSelection`. Defaults to 16.
        conv_cfg (dict, optional): Config of the convolutions. Defaults to None: plain.
        norm_cfg (dict, optional): Config of the normalization layers. Defaults to None:
            batch normalization.

    Raises:
        ValueError: If ``num_groups`` is less than 2 or does not divide the channels, or
            ``selection`` is another one.
    """

    def __init__(
        self,
        channels: int,
        num_groups: int = 4,
        stride: int = 1,
        dilation: int = 1,
        selection: str | None = "softmax",
        reduction: int = 16,
        conv_cfg: dict | None = None,
        norm_cfg: dict | None = None,
    ) -> None:
        super().__init__()
        if num_groups < 2 or channels % num_groups:
            raise ValueError(
                "num_groups must be at least 2 and divide the channels of the 3x3 "
                f"convolution, got num_groups={num_groups} for {channels} channels; "
                "change num_groups or base_channels"
            )
        if selection not in SELECTIONS:
            raise ValueError(f"selection must be in {SELECTIONS}, got {selection!r}")
        norm_cfg = norm_cfg or dict(type="BN")
        width = channels // num_groups
        self.num_groups, self.stride = num_groups, stride
        self.convs = nn.ModuleList(
            ConvModule(
                width,
                width,
                3,
                stride=stride,
                padding=dilation,
                dilation=dilation,
                conv_cfg=conv_cfg,
                norm_cfg=norm_cfg,
            )
            for _ in range(num_groups - 1)
        )
        self.selection = (
            GroupSelection(width, num_groups, reduction, norm_cfg)
            if selection
            else None
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, channels, h, w) to the same shape, divided by the stride."""
        first, *others = x.chunk(self.num_groups, 1)
        if self.stride > 1:
            first = F.avg_pool2d(first, 3, self.stride, 1)
        outputs = [first]
        for conv, group in zip(self.convs, others, strict=True):
            outputs.append(conv(group if self.stride > 1 else group + outputs[-1]))
        if self.selection is None:
            return torch.cat(outputs, 1)
        groups = torch.stack(outputs, 1)
        return (self.selection(groups) * groups).flatten(1, 2)
