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
from .part_labels import has_part_labels, mirror_part_labels, part_labels
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
    "has_part_labels",
    "joint_definition",
    "joint_mapping",
    "joint_metainfo",
    "map_tensors",
    "mirror_part_labels",
    "part_labels",
    "replace_last",
    "tensors",
]
