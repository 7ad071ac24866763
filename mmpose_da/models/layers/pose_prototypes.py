from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .marginal_heatmaps import spatial_softmax
from .numerics import full_precision, promote, unit_vectors
from .semantic_graph_conv import SemanticGraphBlock


def part_prototypes(features: Tensor, maps: Tensor) -> Tensor:
    """Pool features where the maps of the parts are high.

    The prototypes of Xu et al., "Location-free Human Pose Estimation", CVPR 2022::

        P_k = sum_i softmax_i(M_k) f_i

    Args:
        features (Tensor): Features f (B, C, h, w).
        maps (Tensor): Maps M (B, K, h, w), logits.

    Returns:
        Tensor: Prototypes P (B, K, C), at least float32.
    """
    with full_precision(features):
        weights = spatial_softmax(maps).flatten(2)
        return weights @ promote(features).flatten(2).transpose(1, 2)


def cosine_maps(prototypes: Tensor, features: Tensor) -> Tensor:
    """Compare each prototype with the features at every position.

    Args:
        prototypes (Tensor): Prototypes (B, K, C).
        features (Tensor): Features (B, C, h, w).

    Returns:
        Tensor: Cosines (B, K, h, w), at least float32.
    """
    with full_precision(features):
        units = unit_vectors(promote(features).flatten(2).transpose(1, 2))
        cosines = unit_vectors(promote(prototypes)) @ units.transpose(1, 2)
        return cosines.unflatten(2, features.shape[2:])


class JointAttention(nn.Module):
    """Residual self-attention among the joints.

    Args:
        channels (int): Channels of the joints.
        num_heads (int): Number of heads. Defaults to 8.
    """

    def __init__(self, channels: int, num_heads: int = 8) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(channels)
        self.attention = nn.MultiheadAttention(channels, num_heads, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        """Map joints (B, K, channels) to (B, K, channels)."""
        normal = self.norm(x)
        return x + self.attention(normal, normal, normal, need_weights=False)[0]


class PrototypeRelations(nn.Sequential):
    """Relations among the prototypes of the joints.

    The relation encoding of Xu et al., "Location-free Human Pose Estimation", CVPR
    2022. The abstract, on which this is based, leaves open how relations are encoded.

    Args:
        channels (int): Channels of the prototypes.
        adjacency (Tensor): Skeleton (K, K), see
            :func:`~mmpose_da.models.layers.skeleton_adjacency`.
        kind (str): ``'graph'``: semantic graph convolutions over the skeleton, or
            ``'attention'``: self-attention among all joints. Defaults to ``'graph'``.
        num_blocks (int): Number of residual blocks. Defaults to 1.

    Raises:
        ValueError: If ``kind`` is unknown.
    """

    def __init__(
        self,
        channels: int,
        adjacency: Tensor,
        kind: str = "graph",
        num_blocks: int = 1,
    ) -> None:
        if kind not in ("graph", "attention"):
            raise ValueError(
                f"relations.kind must be 'graph' or 'attention', not {kind!r}"
            )
        super().__init__(
            *(
                SemanticGraphBlock(channels, adjacency)
                if kind == "graph"
                else JointAttention(channels)
                for _ in range(num_blocks)
            )
        )


class JointClassifier(nn.Module):
    """A linear classifier of its own for each joint: is the joint in the image?

    Args:
        num_keypoints (int): Number of joints K.
        channels (int): Channels C of a joint.
    """

    def __init__(self, num_keypoints: int, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(num_keypoints, channels))
        self.bias = nn.Parameter(torch.zeros(num_keypoints))
        nn.init.normal_(self.weight, std=channels**-0.5)

    def forward(self, joints: Tensor) -> Tensor:
        """Map joints (B, K, C) to logits (B, K)."""
        return (joints * self.weight).sum(-1) + self.bias


class PosePrototypes(nn.Module):
    """Relation-encoded pose prototypes, and where they are in the image.

    Xu et al., "Location-free Human Pose Estimation", CVPR 2022. The maps of the parts
    give a prototype of each joint, relations among the joints change it, and the cosine
    with the features f at every position i is its location map L::

        P = relations(part_prototypes(f, M))      L_ki = cos(P_k, f_i)

    The prototypes P_k, and the features that L pools again, sum_i softmax_i(L_k / t)
    f_i, are classified joint by joint. This makes L high where the joint is. The
    paper's abstract leaves open the temperature t, whether M takes part in the
    location, and whether the classification of P reaches M.

    Args:
        channels (int): Channels C of the features.
        num_keypoints (int): Number of joints K.
        temperature (float): Temperature t. Defaults to 0.1.
        location (str): ``'cosine'``: the location logits are L / t. ``'product'``: they
            are L / t + log sigmoid(M), for the product of both. Defaults to
            ``'product'``.
        detach_maps (bool): Whether M is constant here, so that only its own
            classification trains it. Defaults to False.
        classify (bool): Whether the prototypes and the features that L pools again are
            classified, as of the whole image. Without, L itself is what learns.
            Defaults to True.
        relations (PrototypeRelations, optional): Relations among the joints. Defaults
            to None.

    Raises:
        ValueError: If ``temperature`` is not positive or ``location`` is unknown.
    """

    def __init__(
        self,
        channels: int,
        num_keypoints: int,
        temperature: float = 0.1,
        location: str = "product",
        detach_maps: bool = False,
        classify: bool = True,
        relations: nn.Module | None = None,
    ) -> None:
        super().__init__()
        if not temperature > 0:
            raise ValueError(
                f"prototypes.temperature must be positive, but is {temperature}"
            )
        if location not in ("cosine", "product"):
            raise ValueError(
                f"prototypes.location must be 'cosine' or 'product', not {location!r}"
            )
        self.temperature, self.location = temperature, location
        self.detach_maps = detach_maps
        self.relations = relations
        self.classifiers = nn.ModuleList(
            JointClassifier(num_keypoints, channels) for _ in range(2 * classify)
        )

    def forward(self, features: Tensor, maps: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Find the joints.

        Args:
            features (Tensor): Features f (B, C, h, w).
            maps (Tensor): Maps M of the parts (B, K, h, w), logits.

        Returns:
            tuple[Tensor, list[Tensor]]: Location logits (B, K, h, w), and the logits
            (B, K) of the prototypes and of the features that are pooled again; none
            without ``classify``.
        """
        if self.detach_maps:
            maps = maps.detach()
        prototypes = part_prototypes(features, maps)
        if self.relations is not None:
            prototypes = self.relations(prototypes)
        location = cosine_maps(prototypes, features) / self.temperature
        logits = []
        if self.classifiers:
            first, second = self.classifiers
            pooled = part_prototypes(features, location)
            logits = [first(prototypes), second(pooled)]
        if self.location == "product":
            location = location + F.logsigmoid(promote(maps))
        return location, logits
