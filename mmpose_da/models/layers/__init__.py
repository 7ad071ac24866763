from .constants import constant_call, constant_running_statistics
from .duc import DUC
from .feature_aggregation_selection import (
    FeatureAggregationSelection,
    GroupSelection,
)
from .gradient_reversal import gradient_reversal, scale_gradient
from .heatmaps import gaussian_heatmaps, heatmap_peaks
from .keypoint_features import keypoint_confidence, keypoint_features
from .keypoint_occlusion import KeypointOcclusion
from .marginal_heatmaps import (
    PLANES,
    cell_centers,
    flip_marginals,
    marginal_gaussians,
    plane_shape,
    soft_argmax,
    spatial_softmax,
)
from .part_pooling import pool_parts, region_masks
from .pixels import Pixels
from .pose_prototypes import (
    PosePrototypes,
    PrototypeRelations,
    cosine_maps,
    part_prototypes,
)
from .random_view import RandomView, View
from .semantic_graph_conv import (
    SemanticGraphBlock,
    SemanticGraphConv,
    SemanticGraphUnit,
    skeleton_adjacency,
)
from .spatial_guided_encoder import (
    GuidedSelfAttention,
    SpatialGuidedEncoder,
    sine_positions,
)
from .warp import affine_matrices, swap_joints, warp, warp_heatmaps, warp_points

__all__ = [
    "DUC",
    "FeatureAggregationSelection",
    "GroupSelection",
    "GuidedSelfAttention",
    "KeypointOcclusion",
    "PLANES",
    "Pixels",
    "PosePrototypes",
    "PrototypeRelations",
    "RandomView",
    "SemanticGraphBlock",
    "SemanticGraphConv",
    "SemanticGraphUnit",
    "SpatialGuidedEncoder",
    "View",
    "affine_matrices",
    "cell_centers",
    "constant_call",
    "constant_running_statistics",
    "cosine_maps",
    "flip_marginals",
    "gaussian_heatmaps",
    "gradient_reversal",
    "heatmap_peaks",
    "keypoint_confidence",
    "keypoint_features",
    "marginal_gaussians",
    "part_prototypes",
    "plane_shape",
    "sine_positions",
    "pool_parts",
    "region_masks",
    "scale_gradient",
    "skeleton_adjacency",
    "soft_argmax",
    "spatial_softmax",
    "swap_joints",
    "warp",
    "warp_heatmaps",
    "warp_points",
]
