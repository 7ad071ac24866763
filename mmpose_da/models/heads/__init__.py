from .domain_discriminator import GlobalDomainDiscriminator, LocalDomainDiscriminator
from .topology_head import TopologyHead

__all__ = ["GlobalDomainDiscriminator", "LocalDomainDiscriminator", "TopologyHead"]
