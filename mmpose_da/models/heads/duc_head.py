from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mmengine.model import Sequential
from mmpose.models.heads import HeatmapHead
from mmpose.registry import MODELS
from torch import nn

from ..layers.duc import DUC


@MODELS.register_module()
class DUCHead(HeatmapHead):
    """MMPose's ``HeatmapHead`` with dense upsampling instead of deconvolutions.

    The DUC of EFASNet: Xu et al., "Multi-Person Pose Estimation with Enhanced Feature
    Aggregation and Selection", arXiv 2003.10238. Each layer is a
    :class:`~mmpose_da.models.layers.DUC`, in ``deconv_layers``. Everything else is that
    of :class:`mmpose.models.HeatmapHead`.

    Args:
        in_channels (int | Sequence[int]): Channels of the feature maps.
        out_channels (int): Number of joints K.
        deconv_out_channels (Sequence[int], optional): Channels after each DUC, as those
            of the deconvolutions that they replace. None or an empty sequence means no
            upsampling. Defaults to (256, 256, 256).
        upscale_factors (Sequence[int]): Factor of each DUC. Defaults to (2, 2, 2).
        equal_subpixels (bool): Whether the sub-pixels of a DUC start equal. Defaults to
            True.
        kwargs: Other arguments of ``HeatmapHead``, but ``deconv_kernel_sizes``.

    Raises:
        ValueError: If there is not one factor for each DUC.
    """

    def __init__(
        self,
        in_channels: int | Sequence[int],
        out_channels: int,
        deconv_out_channels: Sequence[int] | None = (256, 256, 256),
        upscale_factors: Sequence[int] = (2, 2, 2),
        equal_subpixels: bool = True,
        **kwargs: Any,
    ) -> None:
        if deconv_out_channels and len(deconv_out_channels) != len(upscale_factors):
            raise ValueError(
                "deconv_out_channels and upscale_factors need one entry for each DUC, "
                f"got {tuple(deconv_out_channels)} and {tuple(upscale_factors)}"
            )
        self.equal_subpixels = equal_subpixels
        super().__init__(
            in_channels,
            out_channels,
            deconv_out_channels=deconv_out_channels,
            deconv_kernel_sizes=upscale_factors,
            **kwargs,
        )

    def _make_deconv_layers(
        self,
        in_channels: int,
        layer_out_channels: Sequence[int],
        layer_kernel_sizes: Sequence[int],
    ) -> nn.Module:
        """Make the DUCs; what MMPose calls kernel sizes are their factors."""
        inputs = (in_channels, *layer_out_channels)
        # MMEngine's Sequential, unlike PyTorch's, initializes the layers in it.
        return Sequential(
            *(
                DUC(before, after, factor, self.equal_subpixels)
                for before, after, factor in zip(
                    inputs, layer_out_channels, layer_kernel_sizes, strict=False
                )
            )
        )
