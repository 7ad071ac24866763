from .gradient_reversal import gradient_reversal
from .heatmaps import gaussian_heatmaps, heatmap_peaks
from .keypoint_features import keypoint_confidence, keypoint_features
from .keypoint_occlusion import KeypointOcclusion
from .pixels import Pixels
from .random_view import RandomView, View
from .semantic_graph_conv import (
    SemanticGraphBlock,
    SemanticGraphConv,
    SemanticGraphUnit,
    skeleton_adjacency,
)
from .warp import affine_matrices, swap_joints, warp, warp_heatmaps, warp_points

__all__ = [
    "KeypointOcclusion",
    "Pixels",
    "RandomView",
    "SemanticGraphBlock",
    "SemanticGraphConv",
    "SemanticGraphUnit",
    "View",
    "affine_matrices",
    "gaussian_heatmaps",
    "gradient_reversal",
    "heatmap_peaks",
    "keypoint_confidence",
    "keypoint_features",
    "skeleton_adjacency",
    "swap_joints",
    "warp",
    "warp_heatmaps",
    "warp_points",
]
