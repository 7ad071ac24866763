import torch
import torch.nn.functional as F
from mmengine.model import BaseModule
from mmpose.registry import MODELS
from torch import Tensor, nn

from ..layers.numerics import empty_sum, full_precision, promote

# An eighth of the channels is the usual width of keys in spatial self-attention
# (Zhang et al., "Self-Attention Generative Adversarial Networks", ICML 2019).
_KEY_REDUCTION = 8
_MIN_KEY_CHANNELS = 32


def _attend(queries: Tensor, keys: Tensor, values: Tensor, scale: float) -> Tensor:
    """Attention between maps: ``softmax(scale * Q^T K) V`` over positions.

    Args:
        queries (Tensor): Shape (B, E, h, w).
        keys (Tensor): Shape (B, E, h', w').
        values (Tensor): Shape (B, C, h', w').
        scale (float): Factor of the products.

    Returns:
        Tensor: Shape (B, C, h, w).
    """
    channels, size = values.size(1), queries.shape[2:]
    # The fused kernels need equal widths and channels that are contiguous in memory.
    # Zero channels change neither the products nor the values that are kept.
    width = max(channels, queries.size(1))

    def tokens(x: Tensor) -> Tensor:
        x = x.flatten(2).transpose(1, 2)
        return F.pad(x, (0, width - x.size(2)))[:, None].contiguous()

    out = F.scaled_dot_product_attention(
        tokens(queries), tokens(keys), tokens(values), scale=scale
    )
    return out[:, 0, :, :channels].transpose(1, 2).unflatten(2, size)


@MODELS.register_module()
class CAFANeck(BaseModule):
    """Cross-attentive feature alignment: each domain attends to the other.

    The bidirectional spatial attention of section 3.2 of Xu et al., "Alleviating
    Human-level Shift: A Robust Domain Adaptation Method for Multi-person Pose
    Estimation", ACM MM 2020. For a source image s and a target image t, queries Q_s,
    keys K_t, and values V are 1x1 convolutions; one correlation map serves both
    directions, with a softmax over its rows and over its columns::

        M = scale * Q_s^T K_t
        s'_i = s_i + a_s * sum_j softmax_j(M_ij) v_t,j
        t'_j = t_j + a_t * sum_i softmax_i(M_ij) v_s,i

    a_s and a_t are learned and start at 0, so that the neck starts as the identity.
    Both directions use a fused attention kernel, so memory is linear in the number of
    positions.

    Image i of a domain is paired with image i of the other, with the shorter side
    cycled. An image of the shorter side thus takes part in several pairs; its output
    comes from the first of them. If a side is empty, both are returned unchanged, with
    the neck in their graph. For training only: a single image at test time has no
    partner.

    The paper does not specify the width of the keys and any scaling of M. Its value
    convolution is interpreted as shared by both domains.

    Args:
        in_channels (int): Channels C of the feature maps.
        key_channels (int, optional): Channels of queries and keys. None means
            ``in_channels // 8``, but at least 32 and at most ``in_channels``.
            Defaults to None.
        scale (float): Factor of the correlation map. Defaults to 1.0, the plain
            products of the paper.
        init_cfg (dict, optional): Initialization; see MMEngine's ``BaseModule``.
            Defaults to None.
    """

    def __init__(
        self,
        in_channels: int,
        key_channels: int | None = None,
        scale: float = 1.0,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(init_cfg)
        if key_channels is None:
            key_channels = max(in_channels // _KEY_REDUCTION, _MIN_KEY_CHANNELS)
            key_channels = min(key_channels, in_channels)
        if key_channels < 1:
            raise ValueError(f"key_channels must be positive, got {key_channels}")
        if scale <= 0:
            raise ValueError(f"scale must be positive, got {scale}")
        self.in_channels = in_channels
        self.scale = scale
        self.query = nn.Conv2d(in_channels, key_channels, 1)
        self.key = nn.Conv2d(in_channels, key_channels, 1)
        self.value = nn.Conv2d(in_channels, in_channels, 1)
        self.source_strength = nn.Parameter(torch.zeros(1))
        self.target_strength = nn.Parameter(torch.zeros(1))

    def forward(self, source: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        """Let both domains attend to each other.

        Args:
            source (Tensor): Features of the source images, shape (n, C, h, w).
            target (Tensor): Features of the target images, shape (m, C, h, w).

        Returns:
            tuple[Tensor, Tensor]: The adapted source and target features, in the
            shapes of the inputs.
        """
        for name, x in (("source", source), ("target", target)):
            if x.dim() != 4 or x.size(1) != self.in_channels:
                raise ValueError(
                    f"{name} must be of shape (B, {self.in_channels}, h, w), got "
                    f"{tuple(x.shape)}"
                )
        if len(source) == 0 or len(target) == 0:
            zero = empty_sum(*self.parameters())
            return source + zero, target + zero
        # The products are not scaled, and the softmax turns errors into factors.
        with full_precision(source):
            from_target, from_source = self._exchange(promote(source), promote(target))
        return (
            source + (self.source_strength * from_target).to(source.dtype),
            target + (self.target_strength * from_source).to(target.dtype),
        )

    def attention(self, source: Tensor, target: Tensor) -> Tensor:
        """Return what each position of a source image attends to in its target image.

        This is ``softmax_j(M_ij)``, by the attention of training, whose values are
        replaced with one-hot vectors of the positions j.

        Args:
            source (Tensor): Features of the source images, shape (n, C, h, w).
            target (Tensor): Features of the target images, shape (m, C, h', w').

        Returns:
            Tensor: The weights, shape (n, h, w, h', w'). Their sum over h' and w' is 1.
        """
        size, count = target.shape[2:], target[0, 0].numel()
        with full_precision(source):
            query, key = self.query(promote(source)), self.key(promote(target))
            one_hot = torch.eye(count).to(key).unflatten(1, size)
            weights = _attend(
                query,
                self._cycle(key, len(source)),
                one_hot.expand(len(source), -1, -1, -1),
                self.scale,
            )
        return weights.permute(0, 2, 3, 1).unflatten(3, size)

    def _exchange(self, source: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        """Return what each source image gets from its target image, and vice versa."""
        n, m = len(source), len(target)
        query, key = self.query(source), self.key(target)
        from_target = _attend(
            query, self._cycle(key, n), self._cycle(self.value(target), n), self.scale
        )
        from_source = _attend(
            key, self._cycle(query, m), self._cycle(self.value(source), m), self.scale
        )
        return from_target, from_source

    @staticmethod
    def _cycle(x: Tensor, length: int) -> Tensor:
        """Return the first ``length`` entries of ``x`` repeated cyclically."""
        if length <= len(x):
            return x[:length]
        return x[torch.arange(length, device=x.device) % len(x)]
