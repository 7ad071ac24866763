from .marginal_heatmap import MarginalHeatmap
from .part_labels import PartLabels

__all__ = ["MarginalHeatmap", "PartLabels"]
