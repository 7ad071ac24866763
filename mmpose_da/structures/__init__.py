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
from .joints import (
    joint_definition,
    joint_mapping,
    joint_metainfo,
    labeled_points,
)
from .part_labels import (
    LabeledParts,
    has_part_labels,
    part_labels,
    part_regions,
    warp_part_labels,
)
from .tree import concat_trees, map_tensors, replace_last, tensors

__all__ = [
    "DOMAINS",
    "GROUPS",
    "SOURCE",
    "TARGET_LABELED",
    "TARGET_PSEUDO",
    "TARGET_UNLABELED",
    "DomainBatch",
    "LabeledParts",
    "Pseudo",
    "concat_trees",
    "has_part_labels",
    "joint_definition",
    "joint_mapping",
    "joint_metainfo",
    "labeled_points",
    "map_tensors",
    "part_labels",
    "part_regions",
    "replace_last",
    "tensors",
    "warp_part_labels",
]
