import torch
import torch.nn.functional as F
from torch import Tensor

from .numerics import full_precision, promote

# Total mass up to which a heatmap counts as all zero.
_NO_MASS = 1e-6


def keypoint_features(features: Tensor, heatmaps: Tensor) -> Tensor:
    """Local feature of every joint: the heatmap-weighted mean of the feature map.

    Section 3.4 of Xu et al., "Alleviating Human-level Shift: A Robust Domain
    Adaptation Method for Multi-person Pose Estimation", ACM MM 2020, which takes the
    global average pool of the outer product of features and heatmap. With heatmaps
    clamped at 0 and brought to the features' resolution::

        v_k = sum_i h_k,i f_i / sum_i h_k,i

    This is the paper's GAP(F outer H_k) up to the positive factor N / sum_i h_k,i, to
    which the cosine that selects pairs is blind; with it, v_k does not depend on how
    high or wide the heatmap is. Heatmaps are averaged over areas where the features
    are smaller and interpolated bilinearly otherwise. No (B, K, C, h, w) tensor is
    made. An all-zero heatmap gives a zero vector. The paper leaves open at which
    layer F is taken and how resolutions are matched.

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
        size = features.shape[2:]
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
    """Confidence of every joint: the heatmap's peak, at least 0, without gradient.

    The confidence of section 3.4 of Xu et al., "Alleviating Human-level Shift: A
    Robust Domain Adaptation Method for Multi-person Pose Estimation", ACM MM 2020,
    which leaves open how it is read off the heatmap; the peak is MMPose's score.

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
