from .base import Adaptation, RampUp
from .cafa import CAFA
from .domain_adversarial import DomainAdversarial
from .domain_feature_alignment import DomainFeatureAlignment
from .entropy_minimization import EntropyMinimization
from .feature_alignment import FeatureAlignment
from .ihta import IHTA
from .information_maximization import InformationMaximization
from .isa import ISA
from .labeled_views import LabeledViews
from .mean_teacher import MeanTeacher
from .part_classification import PartClassification
from .pasted_patches import PastedPatches
from .regda import RegDA
from .style_transfer import StyleTransfer

__all__ = [
    "CAFA",
    "IHTA",
    "ISA",
    "Adaptation",
    "DomainAdversarial",
    "DomainFeatureAlignment",
    "EntropyMinimization",
    "FeatureAlignment",
    "InformationMaximization",
    "LabeledViews",
    "MeanTeacher",
    "PartClassification",
    "PastedPatches",
    "RampUp",
    "RegDA",
    "StyleTransfer",
]
