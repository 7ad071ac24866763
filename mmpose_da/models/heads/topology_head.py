from collections.abc import Iterable, Sequence

from mmengine.model import BaseModule
from mmpose.registry import MODELS
from torch import Tensor, nn

from ..layers.numerics import full_precision, promote
from ..layers.semantic_graph_conv import (
    SemanticGraphBlock,
    SemanticGraphUnit,
    skeleton_adjacency,
)


@MODELS.register_module()
class TopologyHead(BaseModule):
    """Graph network that maps joint features to a topology representation.

    Section 3.4 of Xu et al., "Alleviating Human-level Shift: A Robust Domain Adaptation
    Method for Multi-person Pose Estimation", ACM MM 2020. The joints are the nodes of
    the skeleton graph. A graph convolution is followed by ``num_blocks`` residual
    blocks with non-local layers and a final 1x1 convolution over the nodes without
    normalization and activation. The graph is small, so it is computed in float32 even
    under autocast.

    A loss that only pulls representations together is minimized by a constant one.
    :meth:`readout` prevents this: it must predict the joints' coordinates from the
    representation on labeled images. It is an addition to the paper, which does not
    specify the width of the representation either.

    Args:
        in_channels (int): Channels of the joint features.
        num_keypoints (int): Number of joints K.
        skeleton_links (Iterable[Sequence[int]]): Pairs of joint indices.
        channels (int): Channels of the graph convolutions. Defaults to 128.
        num_blocks (int): Number of residual blocks. Defaults to 4.
        out_channels (int): Channels D of the representation. Defaults to 64.
        init_cfg (dict, optional): Initialization; see MMEngine's ``BaseModule``.
            Defaults to None.
    """

    def __init__(
        self,
        in_channels: int,
        num_keypoints: int,
        skeleton_links: Iterable[Sequence[int]],
        channels: int = 128,
        num_blocks: int = 4,
        out_channels: int = 64,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(init_cfg)
        if num_blocks < 0:
            raise ValueError(f"num_blocks must not be negative, got {num_blocks}")
        adjacency = skeleton_adjacency(num_keypoints, skeleton_links)
        self.input = SemanticGraphUnit(in_channels, channels, adjacency)
        self.blocks = nn.Sequential(
            *(SemanticGraphBlock(channels, adjacency) for _ in range(num_blocks))
        )
        self.output = nn.Linear(channels, out_channels)
        self.coordinates = nn.Linear(out_channels, 2)

    def forward(self, features: Tensor) -> Tensor:
        """Compute the topology representation g.

        Args:
            features (Tensor): Joint features, shape (B, K, in_channels).

        Returns:
            Tensor: Shape (B, K, out_channels).
        """
        with full_precision(features):
            return self.output(self.blocks(self.input(promote(features))))

    def readout(self, topology: Tensor) -> Tensor:
        """Predict the coordinates of each joint from its representation.

        Args:
            topology (Tensor): g, shape (B, K, out_channels).

        Returns:
            Tensor: (x, y) in units of the heatmap's width and height, so that [0, 1]
            spans the heatmap; shape (B, K, 2).
        """
        with full_precision(topology):
            return self.coordinates(promote(topology))
