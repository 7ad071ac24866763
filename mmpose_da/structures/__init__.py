from .domain_batch import (
    DOMAINS,
    GROUPS,
    SOURCE,
    TARGET_LABELED,
    TARGET_UNLABELED,
    DomainBatch,
)
from .joints import joint_definition, joint_mapping, joint_metainfo

__all__ = [
    "DOMAINS",
    "GROUPS",
    "SOURCE",
    "TARGET_LABELED",
    "TARGET_UNLABELED",
    "DomainBatch",
    "joint_definition",
    "joint_mapping",
    "joint_metainfo",
]
