from .camera_mpjpe import CameraMPJPE
from .part_label_ap import PartLabelAP
from .shared_joints import (
    SharedJointsCocoMetric,
    SharedJointsMpiiPCK,
    SharedJointsPCK,
)

__all__ = [
    "CameraMPJPE",
    "PartLabelAP",
    "SharedJointsCocoMetric",
    "SharedJointsMpiiPCK",
    "SharedJointsPCK",
]
