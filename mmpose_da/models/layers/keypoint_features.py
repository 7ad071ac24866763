import torch
import torch.nn.functional as F
from torch import Tensor

from .numerics import full_precision, promote

# Total mass up to which a heatmap counts as all zero.
_NO_MASS = 1e-6


def keypoint_features(features: Tensor, heatmaps: Tensor) -> Tensor:
    """Compute each joint's local feature: the heatmap-weighted mean of the features.

    Section 3.4 of Xu et al., "Alleviating Human-level Shift: A Robust Domain
    Adaptation Method for Multi-person Pose Estimation", ACM MM 2020, which uses the
    global average pool of the outer product of features and heatmap. With heatmaps
    clamped at 0 and resized to the features' resolution::

        v_k = sum_i h_k,i f_i / sum_i h_k,i

    This is the paper's GAP(F outer H_k) up to the positive factor N / sum_i h_k,i. The
    cosine that selects pairs is invariant to this factor, which makes v_k independent
    of the height and width of the heatmap. Heatmaps are averaged over areas if the
    features are smaller, and interpolated bilinearly otherwise. No (B, K, C, h, w)
    tensor is created. An all-zero heatmap gives a zero vector. The paper does not
    specify the layer of F and how resolutions are matched.

    Args:
        features (Tensor): Shape (B, C, h, w).
        heatmaps (Tensor): Shape (B, K, H, W).

    Returns:
        Tensor: Shape (B, K, C).
    """
    if features.dim() != 4 or heatmaps.dim() != 4 or len(features) != len(heatmaps):
        raise ValueError(
            "features and heatmaps must be of shapes (B, C, h, w) and (B, K, H, W), "
            f"got {tuple(features.shape)} and {tuple(heatmaps.shape)}"
        )
    with full_precision(features):
        features, weights = promote(features), promote(heatmaps).clamp(min=0)
        size = (features.size(2), features.size(3))
        if weights.shape[2:] != size:
            if size[0] <= weights.size(2) and size[1] <= weights.size(3):
                weights = F.adaptive_avg_pool2d(weights, size)
            else:
                weights = F.interpolate(
                    weights, size=size, mode="bilinear", align_corners=False
                )
        weights = weights.flatten(2)
        mass = weights.sum(-1, keepdim=True)
        weights = weights / torch.where(mass > _NO_MASS, mass, torch.ones_like(mass))
        return weights @ features.flatten(2).transpose(1, 2)


def keypoint_confidence(heatmaps: Tensor) -> Tensor:
    """Return each joint's confidence: the heatmap's peak, at least 0, no gradient.

    The confidence of section 3.4 of Xu et al., "Alleviating Human-level Shift: A
    Robust Domain Adaptation Method for Multi-person Pose Estimation", ACM MM 2020,
    which does not specify how it is computed; the peak is MMPose's score.

    Args:
        heatmaps (Tensor): Shape (B, K, H, W).

    Returns:
        Tensor: Shape (B, K), detached.
    """
    if heatmaps.dim() != 4:
        raise ValueError(
            f"heatmaps must be of shape (B, K, H, W), got {tuple(heatmaps.shape)}"
        )
    return promote(heatmaps.detach()).amax(dim=(2, 3)).clamp(min=0)
