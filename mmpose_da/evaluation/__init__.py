from .camera_mpjpe import CameraMPJPE
from .domain_confusion import domain_confusion
from .part_label_ap import PartLabelAP
from .plausible_poses import PlausiblePoses
from .shared_joints import (
    SharedJointsCocoMetric,
    SharedJointsMpiiPCK,
    SharedJointsPCK,
)

__all__ = [
    "CameraMPJPE",
    "PartLabelAP",
    "PlausiblePoses",
    "SharedJointsCocoMetric",
    "SharedJointsMpiiPCK",
    "SharedJointsPCK",
    "domain_confusion",
]
