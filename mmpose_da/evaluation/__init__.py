from .shared_joints import (
    SharedJointsCocoMetric,
    SharedJointsMpiiPCK,
    SharedJointsPCK,
)

__all__ = ["SharedJointsCocoMetric", "SharedJointsMpiiPCK", "SharedJointsPCK"]
