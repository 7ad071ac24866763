from .domain_discriminator import GlobalDomainDiscriminator, LocalDomainDiscriminator
from .head_outputs import HeadOutputs, head_outputs
from .topology_head import TopologyHead

__all__ = [
    "GlobalDomainDiscriminator",
    "HeadOutputs",
    "LocalDomainDiscriminator",
    "TopologyHead",
    "head_outputs",
]
