from .adversarial_loss import AdversarialLoss
from .entropy_loss import EntropyLoss
from .ihta_loss import IHTALoss, pose_similarity
from .isa_loss import ISALoss
from .mmd_loss import MMDLoss, mean_squared_distance

__all__ = [
    "AdversarialLoss",
    "EntropyLoss",
    "IHTALoss",
    "ISALoss",
    "MMDLoss",
    "mean_squared_distance",
    "pose_similarity",
]
