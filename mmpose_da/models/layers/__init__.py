from .gradient_reversal import gradient_reversal
from .keypoint_features import keypoint_confidence, keypoint_features
from .pixels import Pixels
from .semantic_graph_conv import (
    SemanticGraphBlock,
    SemanticGraphConv,
    SemanticGraphUnit,
    skeleton_adjacency,
)

__all__ = [
    "Pixels",
    "SemanticGraphBlock",
    "SemanticGraphConv",
    "SemanticGraphUnit",
    "gradient_reversal",
    "keypoint_confidence",
    "keypoint_features",
    "skeleton_adjacency",
]
