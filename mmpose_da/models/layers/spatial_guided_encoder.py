from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .marginal_heatmaps import cell_centers

#: Lowest and highest frequency of position embeddings, in periods per image side.
_FREQUENCIES = 0.5, 32.0


def sine_positions(size: Sequence[int], channels: int, like: Tensor) -> Tensor:
    """Embed the positions of a grid as sines and cosines.

    The frequencies are relative to the image, so that grids of any size, and of several
    scales, have the same embedding at the same place.

    Args:
        size (Sequence[int]): Height h and width w of the grid.
        channels (int): Number of channels C, a multiple of 4.
        like (Tensor): A tensor of the device and the floating dtype to use.

    Returns:
        Tensor: Embeddings (h * w, C), row by row; the first half of the channels
        depends on y, the second half on x.

    Raises:
        ValueError: If ``channels`` is not a multiple of 4.
    """
    if channels < 4 or channels % 4:
        raise ValueError(f"channels must be a multiple of 4, but is {channels}")
    low, high = (math.log(frequency) for frequency in _FREQUENCIES)
    frequencies = torch.linspace(low, high, channels // 4).exp().to(like) * math.pi
    axes = []
    for count in size:
        angles = cell_centers(count, like)[:, None] * frequencies
        axes.append(torch.cat([angles.sin(), angles.cos()], dim=-1))
    y, x = axes
    rows, columns = y[:, None].expand(-1, len(x), -1), x.expand(len(y), -1, -1)
    return torch.cat([rows, columns], dim=-1).flatten(0, 1)


class GuidedSelfAttention(nn.Module):
    """Self-attention of all tokens that is guided to some of them.

    Every head computes, with queries q, keys k, values v, and the prior g_j in (0, 1]
    of token j::

        'bias':   softmax_j(q_i . k_j / sqrt(d) + log g_j) v_j
        'value':  softmax_j(q_i . k_j / sqrt(d)) g_j v_j

    It runs in a fused kernel, whose memory is linear in the number of tokens. The prior
    gets no gradient: that of a bias would be a matrix over all pairs of tokens.

    Args:
        channels (int): Channels of the tokens.
        num_heads (int): Number of heads.
        guide (str, optional): ``'bias'``, ``'value'``, or None for plain attention.
    """

    def __init__(self, channels: int, num_heads: int, guide: str | None) -> None:
        super().__init__()
        if channels % num_heads:
            raise ValueError(
                f"channels={channels} is not a multiple of num_heads={num_heads}"
            )
        if guide not in ("bias", "value", None):
            raise ValueError(
                f"encoder.guide must be 'bias', 'value', or None, not {guide!r}"
            )
        self.num_heads, self.guide = num_heads, guide
        self.inputs = nn.Linear(channels, 3 * channels)
        self.output = nn.Linear(channels, channels)

    def forward(self, tokens: Tensor, log_prior: Tensor) -> Tensor:
        """Attend to tokens.

        Args:
            tokens (Tensor): Tokens (B, N, C).
            log_prior (Tensor): Logarithms of the prior (B, N).

        Returns:
            Tensor: Shape (B, N, C).
        """
        heads = self.inputs(tokens).unflatten(-1, (3, self.num_heads, -1))
        q, k, v = heads.permute(2, 0, 3, 1, 4)  # (B, heads, N, d)
        log_prior = log_prior.detach()[:, None, :, None]
        bias = None
        if self.guide == "bias":
            bias = log_prior.transpose(2, 3).to(q.dtype)  # (B, 1, 1, N)
        elif self.guide == "value":
            v = v * log_prior.exp().to(v.dtype)
        attended = F.scaled_dot_product_attention(q, k, v, attn_mask=bias)
        return self.output(attended.transpose(1, 2).flatten(2))


class GuidedEncoderLayer(nn.Module):
    """Guided self-attention, then a feed-forward network, each residual.

    The tokens are normalized before either (Xiong et al., "On Layer Normalization in
    the Transformer Architecture", ICML 2020).

    Args:
        channels (int): Channels of the tokens.
        num_heads (int): Number of heads.
        hidden_channels (int): Channels within the feed-forward network.
        guide (str, optional): See :class:`GuidedSelfAttention`.
    """

    def __init__(
        self, channels: int, num_heads: int, hidden_channels: int, guide: str | None
    ) -> None:
        super().__init__()
        self.norms = nn.ModuleList(nn.LayerNorm(channels) for _ in range(2))
        self.attention = GuidedSelfAttention(channels, num_heads, guide)
        self.feed_forward = nn.Sequential(
            nn.Linear(channels, hidden_channels),
            nn.GELU(),
            nn.Linear(hidden_channels, channels),
        )

    def forward(self, tokens: Tensor, log_prior: Tensor) -> Tensor:
        """Map tokens (B, N, C), with a prior (B, N), to tokens (B, N, C)."""
        first, second = self.norms
        tokens = tokens + self.attention(first(tokens), log_prior)
        return tokens + self.feed_forward(second(tokens))


class SpatialGuidedEncoder(nn.Module):
    """Multi-scale spatial-guided context encoder.

    Xu et al., "Location-free Human Pose Estimation", CVPR 2022. The positions of
    feature maps of several scales are the tokens of one transformer. Each token has the
    sine embedding of its position and the learned embedding of its scale. Part-aware
    class activation maps M guide the attention to body parts, while the context stays
    global: the prior of a position is

        g = max_k sigmoid(M_k)

    where M is resized to each scale. The paper's abstract, on which this is based,
    leaves open how g guides the attention, and the number of layers.

    Args:
        channels (int): Channels of the feature maps, a multiple of 4 and of
            ``num_heads``.
        num_scales (int): Number of feature maps.
        num_layers (int): Number of layers. Defaults to 2.
        num_heads (int): Number of heads. Defaults to 8.
        hidden_channels (int, optional): Channels within the feed-forward networks.
            Defaults to None: twice ``channels``.
        guide (str, optional): ``'bias'``: log g is added to the attention logits.
            ``'value'``: values are multiplied by g. None: no guidance. Defaults to
            ``'bias'``.

    Raises:
        ValueError: If the channels do not fit, or ``guide`` is unknown.
    """

    def __init__(
        self,
        channels: int,
        num_scales: int,
        num_layers: int = 2,
        num_heads: int = 8,
        hidden_channels: int | None = None,
        guide: str | None = "bias",
    ) -> None:
        super().__init__()
        hidden_channels = hidden_channels or 2 * channels
        self.scales = nn.Parameter(torch.zeros(num_scales, channels))
        nn.init.trunc_normal_(self.scales, std=0.02)
        self.layers = nn.ModuleList(
            GuidedEncoderLayer(channels, num_heads, hidden_channels, guide)
            for _ in range(num_layers)
        )
        self.norm = nn.LayerNorm(channels)

    def forward(self, maps: Sequence[Tensor], cams: Tensor) -> list[Tensor]:
        """Encode feature maps.

        Args:
            maps (Sequence[Tensor]): Feature maps (B, C, h_s, w_s) of each scale s.
            cams (Tensor): Part-aware class activation maps (B, K, h, w), logits.

        Returns:
            list[Tensor]: Feature maps of the same shapes.
        """
        tokens, priors = [], []
        highest = cams.amax(1, keepdim=True)
        for features, scale in zip(maps, self.scales, strict=True):
            size = features.shape[2:]
            position = sine_positions(size, features.shape[1], features)
            tokens.append(features.flatten(2).transpose(1, 2) + position + scale)
            priors.append(_resize(highest, size).flatten(1))
        sizes = [part.shape[1] for part in tokens]
        x, log_prior = torch.cat(tokens, dim=1), F.logsigmoid(torch.cat(priors, dim=1))
        for layer in self.layers:
            x = layer(x, log_prior)
        parts = self.norm(x).split(sizes, dim=1)
        return [
            part.transpose(1, 2).view_as(features)
            for part, features in zip(parts, maps, strict=True)
        ]


def _resize(maps: Tensor, size: Sequence[int]) -> Tensor:
    if maps.shape[2:] == tuple(size):
        return maps
    return F.interpolate(maps, tuple(size), mode="bilinear", align_corners=False)
