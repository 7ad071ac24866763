from .camera_mpjpe import CameraMPJPE
from .shared_joints import (
    SharedJointsCocoMetric,
    SharedJointsMpiiPCK,
    SharedJointsPCK,
)

__all__ = [
    "CameraMPJPE",
    "SharedJointsCocoMetric",
    "SharedJointsMpiiPCK",
    "SharedJointsPCK",
]
