import torch
from mmpose.registry import MODELS
from torch import Tensor, nn

from ..layers.numerics import (
    empty_sum,
    full_precision,
    promote,
    squared_distances,
    unit_vectors,
)


def pose_similarity(
    source: Tensor,
    target: Tensor,
    source_confidence: Tensor,
    target_confidence: Tensor,
) -> Tensor:
    """Compute the similarity of every source pose to every target pose.

    The sample selection of section 3.4 of Xu et al., "Alleviating Human-level Shift: A
    Robust Domain Adaptation Method for Multi-person Pose Estimation", ACM MM 2020: the
    mean cosine of the joints' features, weighted by both confidences::

        sim(s, t) = sum_k c_k^s c_k^t cos(v_k^s, v_k^t) / sum_k c_k^s c_k^t

    This is one matrix product over joints and channels, in O((n + m) K C + n m) memory.
    A zero feature has cosine 0; a pair without any common confident joint has
    similarity 0. The paper does not define the confidence.

    Args:
        source (Tensor): Keypoint features, shape (n, K, C).
        target (Tensor): Keypoint features, shape (m, K, C).
        source_confidence (Tensor): Confidences >= 0, shape (n, K).
        target_confidence (Tensor): Confidences >= 0, shape (m, K).

    Returns:
        Tensor: Shape (n, m), values in [-1, 1].
    """
    if source.dim() != 3 or source.shape[1:] != target.shape[1:]:
        raise ValueError(
            "source and target must be of shapes (n, K, C) and (m, K, C), got "
            f"{tuple(source.shape)} and {tuple(target.shape)}"
        )
    for name, confidence, features in (
        ("source_confidence", source_confidence, source),
        ("target_confidence", target_confidence, target),
    ):
        if confidence.shape != features.shape[:2]:
            raise ValueError(
                f"{name} must be of shape {tuple(features.shape[:2])}, got "
                f"{tuple(confidence.shape)}"
            )
    with full_precision(source):
        source_confidence = promote(source_confidence)
        target_confidence = promote(target_confidence)
        weighted_source = unit_vectors(promote(source)) * source_confidence[..., None]
        weighted_target = unit_vectors(promote(target)) * target_confidence[..., None]
        total = weighted_source.flatten(1) @ weighted_target.flatten(1).t()
        weight = source_confidence @ target_confidence.t()
        some = weight > torch.finfo(weight.dtype).tiny
        mean = total / torch.where(some, weight, torch.ones_like(weight))
        return torch.where(some, mean, torch.zeros_like(mean))


@MODELS.register_module()
class IHTALoss(nn.Module):
    """Inter-domain human-topology alignment of similar poses.

    Section 3.4 of Xu et al., "Alleviating Human-level Shift: A Robust Domain Adaptation
    Method for Multi-person Pose Estimation", ACM MM 2020::

        L_IHTA = 1 / |P| * sum_{(s, t) in P} |g_s - g_t|^2

    with P the positive pairs, g the topology representation of a pose (see
    ``TopologyHead``), and its squared norm summed over joints and channels. A pair is
    positive if its similarity (:func:`pose_similarity`, which receives no gradient)
    reaches a threshold. No (n, m, K, D) tensor is created. The loss is exactly 0, with
    a graph, if no pair is positive.

    The paper's threshold is unknown, and the scale of the similarity depends on the
    features: a value that most pairs reach with an HRNet may be reached by few with a
    ResNet. The threshold is therefore given either as a number, or as the share of the
    pairs in a batch that are positive.

    A constant g makes this loss 0, so g must also be trained for something else. In
    distributed runs, each rank pairs its own samples.

    Args:
        threshold (float, optional): Minimum similarity of a positive pair, in [-1, 1].
            Defaults to None.
        share (float, optional): Share of the most similar pairs of a batch that are
            positive, in (0, 1]. Defaults to None. Exactly one of the two must be given.
    """

    def __init__(
        self, threshold: float | None = None, share: float | None = None
    ) -> None:
        super().__init__()
        if (threshold is None) == (share is None):
            raise ValueError(
                f"give either threshold or share, got {threshold} and {share}"
            )
        if threshold is not None and not -1 <= threshold <= 1:
            raise ValueError(f"threshold must lie in [-1, 1], got {threshold}")
        if share is not None and not 0 < share <= 1:
            raise ValueError(f"share must lie in (0, 1], got {share}")
        self.threshold = threshold
        self.share = share

    def positive_pairs(self, similarity: Tensor) -> Tensor:
        """Select the positive pairs.

        Args:
            similarity (Tensor): Similarity of the pairs, shape (n, m).

        Returns:
            Tensor: Boolean, shape (n, m). With ``share``, at least one pair is positive
            if there is any, and ties with the last one are positive, too.
        """
        similarity = promote(similarity.detach())
        if self.threshold is not None:
            return similarity >= self.threshold
        assert self.share is not None  # one of the two is set
        if similarity.numel() == 0:
            return similarity.bool()
        count = max(1, round(self.share * similarity.numel()))
        return similarity >= similarity.flatten().topk(count).values[-1]

    def forward(
        self, source_topology: Tensor, target_topology: Tensor, similarity: Tensor
    ) -> Tensor:
        """Compute the loss.

        Args:
            source_topology (Tensor): g of the source poses, shape (n, K, D).
            target_topology (Tensor): g of the target poses, shape (m, K, D).
            similarity (Tensor): Similarity of the pairs, shape (n, m).

        Returns:
            Tensor: The loss, a scalar.
        """
        if (
            source_topology.dim() != 3
            or source_topology.shape[1:] != target_topology.shape[1:]
        ):
            raise ValueError(
                "source_topology and target_topology must be of shapes (n, K, D) and "
                f"(m, K, D), got {tuple(source_topology.shape)} and "
                f"{tuple(target_topology.shape)}"
            )
        pairs = (len(source_topology), len(target_topology))
        if similarity.shape != pairs:
            raise ValueError(
                f"similarity must be of shape {pairs}, got {tuple(similarity.shape)}"
            )
        if similarity.numel() == 0:
            return empty_sum(source_topology, target_topology)
        with full_precision(source_topology):
            squared = squared_distances(
                promote(source_topology).flatten(1), promote(target_topology).flatten(1)
            )
            positive = self.positive_pairs(similarity)
            total = torch.where(positive, squared, torch.zeros_like(squared)).sum()
            return total / positive.sum().clamp(min=1)

    def positive_share(self, similarity: Tensor) -> Tensor:
        """Return the share of positive pairs, for the log.

        Args:
            similarity (Tensor): Similarity of the pairs, shape (n, m).

        Returns:
            Tensor: A detached scalar in [0, 1]; 0 if there are no pairs.
        """
        positive = self.positive_pairs(similarity)
        dtype = promote(similarity).dtype
        return positive.sum().to(dtype) / max(positive.numel(), 1)
