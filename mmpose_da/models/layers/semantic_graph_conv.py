from collections.abc import Iterable, Sequence

import torch
from mmcv.cnn.bricks import NonLocal1d
from torch import Tensor, nn


def skeleton_adjacency(
    num_keypoints: int, skeleton_links: Iterable[Sequence[int]]
) -> Tensor:
    """Build the adjacency matrix of a skeleton: symmetric, with self-loops.

    Args:
        num_keypoints (int): Number of joints K.
        skeleton_links (Iterable[Sequence[int]]): Pairs of joint indices, as in
            ``skeleton_links`` of a dataset's metainfo.

    Returns:
        Tensor: Boolean, shape (K, K).
    """
    if num_keypoints < 1:
        raise ValueError(f"num_keypoints must be positive, got {num_keypoints}")
    adjacency = torch.eye(num_keypoints, dtype=torch.bool)
    for link in skeleton_links:
        if len(link) != 2 or not all(0 <= int(j) < num_keypoints for j in link):
            raise ValueError(
                f"skeleton_links must hold pairs of joints in [0, {num_keypoints}), "
                f"got {tuple(link)}"
            )
        first, second = (int(j) for j in link)
        adjacency[first, second] = adjacency[second, first] = True
    return adjacency


class SemanticGraphConv(nn.Module):
    """Graph convolution that learns the weight of every edge for every channel.

    Zhao et al., "Semantic Graph Convolutional Networks for 3D Human Pose Regression",
    CVPR 2019, as used in section 3.4 of Xu et al., "Alleviating Human-level Shift: A
    Robust Domain Adaptation Method for Multi-person Pose Estimation", ACM MM 2020. For
    output channel d, with an edge weight matrix E_d and a column W_d of the weights::

        X'_d = softmax_rows(E_d masked to A) X W_d + b_d

    where entries of E_d without an edge are -inf before the softmax. E starts constant:
    every joint starts as the mean of itself and its neighbors.

    Args:
        in_channels (int): Channels of the input nodes.
        out_channels (int): Channels of the output nodes.
        adjacency (Tensor): Boolean, shape (K, K), with self-loops; see
            :func:`skeleton_adjacency`.
        bias (bool): Whether to add a learned bias per channel. Defaults to True.
    """

    no_edge: Tensor

    def __init__(
        self, in_channels: int, out_channels: int, adjacency: Tensor, bias: bool = True
    ) -> None:
        super().__init__()
        if adjacency.dim() != 2 or adjacency.size(0) != adjacency.size(1):
            raise ValueError(
                f"adjacency must be of shape (K, K), got {tuple(adjacency.shape)}"
            )
        adjacency = adjacency.bool()
        if not adjacency.any(dim=1).all():
            raise ValueError(
                "adjacency must have a neighbor or a self-loop in each row, got "
                f"none in rows {(~adjacency.any(dim=1)).nonzero().flatten().tolist()}"
            )
        # Defined by the config, so checkpoints do not need it.
        self.register_buffer("no_edge", ~adjacency, persistent=False)
        self.linear = nn.Linear(in_channels, out_channels, bias=False)
        self.edges = nn.Parameter(torch.ones(out_channels, *adjacency.shape))
        self.bias = nn.Parameter(torch.zeros(out_channels)) if bias else None
        nn.init.xavier_uniform_(self.linear.weight)

    def edge_weights(self) -> Tensor:
        """Return the normalized edge weights of every channel.

        Returns:
            Tensor: Shape (out_channels, K, K); rows sum to 1, non-edges are 0.
        """
        return self.edges.masked_fill(self.no_edge, -torch.inf).softmax(-1)

    def forward(self, x: Tensor) -> Tensor:
        """Pass messages along the edges.

        Args:
            x (Tensor): Nodes, shape (B, K, in_channels).

        Returns:
            Tensor: Nodes, shape (B, K, out_channels).
        """
        if x.dim() != 3 or x.size(1) != self.no_edge.size(0):
            raise ValueError(
                f"x must be of shape (B, {self.no_edge.size(0)}, C), got "
                f"{tuple(x.shape)}"
            )
        out = torch.einsum("dij,bjd->bid", self.edge_weights(), self.linear(x))
        return out if self.bias is None else out + self.bias


class SemanticGraphUnit(nn.Module):
    """A :class:`SemanticGraphConv` followed by batch normalization and ReLU.

    Args:
        in_channels (int): Channels of the input nodes.
        out_channels (int): Channels of the output nodes.
        adjacency (Tensor): Boolean, shape (K, K).
    """

    def __init__(self, in_channels: int, out_channels: int, adjacency: Tensor) -> None:
        super().__init__()
        # The normalization has its own bias.
        self.conv = SemanticGraphConv(in_channels, out_channels, adjacency, bias=False)
        self.norm = nn.BatchNorm1d(out_channels)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, K, in_channels) to (B, K, out_channels)."""
        return self.norm(self.conv(x).transpose(1, 2)).transpose(1, 2).relu()


class SemanticGraphBlock(nn.Module):
    """Residual block of two graph convolutions, then one non-local layer.

    Section 3.4 of Xu et al., "Alleviating Human-level Shift: A Robust Domain Adaptation
    Method for Multi-person Pose Estimation", ACM MM 2020, after Zhao et al., "Semantic
    Graph Convolutional Networks for 3D Human Pose Regression", CVPR 2019::

        y = x + unit_2(unit_1(x))
        z = y + W_z nonlocal(y)

    with W_z initialized to zero, so that the non-local layer (Wang et al., "Non-local
    Neural Networks", CVPR 2018) starts as the identity.

    Args:
        channels (int): Channels of the nodes.
        adjacency (Tensor): Boolean, shape (K, K).
    """

    def __init__(self, channels: int, adjacency: Tensor) -> None:
        super().__init__()
        self.units = nn.Sequential(
            SemanticGraphUnit(channels, channels, adjacency),
            SemanticGraphUnit(channels, channels, adjacency),
        )
        self.non_local = NonLocal1d(channels, mode="embedded_gaussian")

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, K, channels) to (B, K, channels)."""
        x = x + self.units(x)
        return self.non_local(x.transpose(1, 2)).transpose(1, 2)
