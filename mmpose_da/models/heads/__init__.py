from .domain_discriminator import GlobalDomainDiscriminator, LocalDomainDiscriminator
from .duc_head import DUCHead
from .head_outputs import HeadOutputs, head_outputs
from .location_free_head import LocationFreeHead, PartMaps
from .logit_heatmap_head import LogitHeatmapHead
from .marginal_heatmap_head import MarginalHeatmapHead
from .topology_head import TopologyHead

__all__ = [
    "DUCHead",
    "GlobalDomainDiscriminator",
    "HeadOutputs",
    "LocalDomainDiscriminator",
    "LocationFreeHead",
    "LogitHeatmapHead",
    "MarginalHeatmapHead",
    "PartMaps",
    "TopologyHead",
    "head_outputs",
]
