from .camera_pose_visualizer import CameraPoseVisualizer
from .confidence import plot_confidence
from .feature_embedding import (
    embed_features,
    extract_features,
    nearest_of_same_domain,
    plot_feature_embedding,
)
from .joints_visualizer import JointsVisualizer
from .overlays import (
    cell_of,
    draw_cell,
    draw_map,
    heatmap_step,
    predict_heatmaps,
    share_of_crop,
)
from .paired_predictions import draw_paired_predictions, draw_person
from .part_maps import draw_part_maps
from .poses_3d import draw_poses_3d
from .pseudo_label_quality import (
    LabelQuality,
    label_quality,
    plot_label_quality,
)
from .training_curves import loss_terms, plot_training_curves

__all__ = [
    "CameraPoseVisualizer",
    "JointsVisualizer",
    "LabelQuality",
    "cell_of",
    "draw_cell",
    "draw_map",
    "draw_paired_predictions",
    "draw_part_maps",
    "draw_person",
    "draw_poses_3d",
    "embed_features",
    "extract_features",
    "heatmap_step",
    "label_quality",
    "loss_terms",
    "nearest_of_same_domain",
    "plot_confidence",
    "plot_feature_embedding",
    "plot_label_quality",
    "plot_training_curves",
    "predict_heatmaps",
    "share_of_crop",
]
