from .marginal_heatmap import MarginalHeatmap

__all__ = ["MarginalHeatmap"]
