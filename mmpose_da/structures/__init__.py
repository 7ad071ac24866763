from .domain_batch import (
    DOMAINS,
    GROUPS,
    SOURCE,
    TARGET_LABELED,
    TARGET_PSEUDO,
    TARGET_UNLABELED,
    DomainBatch,
    Pseudo,
)
from .joints import joint_definition, joint_mapping, joint_metainfo
from .tree import concat_trees, map_tensors, replace_last, tensors

__all__ = [
    "DOMAINS",
    "GROUPS",
    "SOURCE",
    "TARGET_LABELED",
    "TARGET_PSEUDO",
    "TARGET_UNLABELED",
    "DomainBatch",
    "Pseudo",
    "concat_trees",
    "joint_definition",
    "joint_mapping",
    "joint_metainfo",
    "map_tensors",
    "replace_last",
    "tensors",
]
