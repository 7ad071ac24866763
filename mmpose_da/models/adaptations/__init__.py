from .base import Adaptation, RampUp
from .cafa import CAFA
from .domain_adversarial import DomainAdversarial
from .entropy_minimization import EntropyMinimization
from .feature_alignment import FeatureAlignment
from .ihta import IHTA
from .isa import ISA

__all__ = [
    "CAFA",
    "IHTA",
    "ISA",
    "Adaptation",
    "DomainAdversarial",
    "EntropyMinimization",
    "FeatureAlignment",
    "RampUp",
]
