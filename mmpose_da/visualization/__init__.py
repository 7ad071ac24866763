from .feature_embedding import (
    embed_features,
    extract_features,
    plot_feature_embedding,
)
from .joints_visualizer import JointsVisualizer
from .paired_predictions import draw_paired_predictions
from .training_curves import loss_terms, plot_training_curves

__all__ = [
    "JointsVisualizer",
    "draw_paired_predictions",
    "embed_features",
    "extract_features",
    "loss_terms",
    "plot_feature_embedding",
    "plot_training_curves",
]
