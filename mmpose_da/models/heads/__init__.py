from .domain_discriminator import GlobalDomainDiscriminator, LocalDomainDiscriminator
from .duc_head import DUCHead
from .head_outputs import HeadOutputs, head_outputs
from .marginal_heatmap_head import MarginalHeatmapHead
from .topology_head import TopologyHead

__all__ = [
    "DUCHead",
    "GlobalDomainDiscriminator",
    "HeadOutputs",
    "LocalDomainDiscriminator",
    "MarginalHeatmapHead",
    "TopologyHead",
    "head_outputs",
]
