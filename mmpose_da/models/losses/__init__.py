from .adversarial_loss import AdversarialLoss
from .consistency_loss import ConsistencyLoss
from .entropy_loss import EntropyLoss
from .ihta_loss import IHTALoss, pose_similarity
from .info_max_loss import InfoMaxLoss
from .isa_loss import ISALoss
from .keypoint_kl_loss import KeypointKLLoss
from .location_loss import LocationLoss
from .marginal_kl_loss import MarginalKLLoss
from .mmd_loss import MMDLoss, mean_squared_distance
from .part_loss import PartLoss

__all__ = [
    "ConsistencyLoss",
    "AdversarialLoss",
    "EntropyLoss",
    "IHTALoss",
    "ISALoss",
    "InfoMaxLoss",
    "KeypointKLLoss",
    "LocationLoss",
    "MMDLoss",
    "MarginalKLLoss",
    "PartLoss",
    "mean_squared_distance",
    "pose_similarity",
]
