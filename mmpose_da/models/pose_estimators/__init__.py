from .domain_adaptive_topdown import DomainAdaptiveTopdown

__all__ = ["DomainAdaptiveTopdown"]
