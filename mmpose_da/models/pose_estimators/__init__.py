from .domain_adaptive_topdown import DomainAdaptiveTopdown
from .pose_network import PoseNetwork

__all__ = ["DomainAdaptiveTopdown", "PoseNetwork"]
