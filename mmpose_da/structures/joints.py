"""Joint definitions, and mappings between them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import deepcopy

import numpy as np
from mmpose.datasets.datasets.utils import parse_pose_metainfo
from mmpose.registry import DATASETS

JointMap = Mapping[str, str | Sequence[str]]


def joint_metainfo(joints: str | dict) -> dict:
    """Look up a joint definition.

    Args:
        joints (str | dict): The type of a registered dataset that has these joints
            (``'MpiiDataset'``), or a metainfo dict as for MMPose's datasets
            (``dict(from_file='configs/_base_/datasets/mpii.py')``).

    Returns:
        dict: The metainfo, an argument for MMPose's ``parse_pose_metainfo``.

    Raises:
        ValueError: If ``joints`` is neither the type of a registered dataset with
            joints nor a metainfo dict.
    """
    try:
        metainfo = DATASETS.get(joints).METAINFO if isinstance(joints, str) else joints
        parse_pose_metainfo(deepcopy(dict(metainfo)))
    except Exception as error:
        raise ValueError(
            f"joints={joints!r} is not a registered dataset with a joint definition; "
            "use the type of one (such as 'MpiiDataset') or a metainfo dict"
        ) from error
    return deepcopy(dict(metainfo))


def joint_definition(joints: str | dict) -> dict:
    """Return MMPose's parsed metainfo of ``joints``: names, flip pairs, skeleton, ...

    See :func:`joint_metainfo` for the argument and the errors.
    """
    return parse_pose_metainfo(joint_metainfo(joints))


def joint_mapping(
    source: dict, target: dict, joint_map: JointMap | None = None
) -> list[tuple[int | tuple[int, int], int]]:
    """Map the joints of one definition to those of another, by name.

    Args:
        source (dict): Parsed metainfo of the given joints.
        target (dict): Parsed metainfo of the wanted joints.
        joint_map (dict, optional): For joints whose names differ, maps the wanted name
            to the given name, or to the two given names whose midpoint it is, as in
            ``dict(pelvis=('left_hip', 'right_hip'))``. Defaults to None.

    Returns:
        list[tuple]: ``(given index or pair of given indices, wanted index)`` for every
        wanted joint that is available, in the form of MMPose's ``KeypointConverter``.

    Raises:
        ValueError: If ``joint_map`` names an unknown joint, or no joint can be mapped.
    """
    given, wanted = source["keypoint_name2id"], target["keypoint_name2id"]
    names = {name: name for name in wanted if name in given}
    if not isinstance(joint_map or {}, Mapping):
        raise ValueError(
            f"joint_map must map wanted to given joints, but is {joint_map!r}"
        )
    names.update(joint_map or {})

    def index(name: str, ids: dict, definition: dict) -> int:
        if not isinstance(name, str) or name not in ids:
            raise ValueError(
                f"joint_map names the joint '{name}', which the definition "
                f"'{definition['dataset_name']}' lacks; it has {sorted(ids)}"
            )
        return ids[name]

    mapping: list[tuple[int | tuple[int, int], int]] = []
    for name, origin in names.items():
        origin_index: int | tuple[int, int]
        if isinstance(origin, str):
            origin_index = index(origin, given, source)
        elif isinstance(origin, Sequence) and len(origin) == 2:
            first, second = (index(part, given, source) for part in origin)
            origin_index = first, second
        else:
            raise ValueError(
                f"joint_map['{name}'] must be one joint or two joints whose midpoint "
                f"it is, but is {origin!r}"
            )
        mapping.append((origin_index, index(name, wanted, target)))
    if not mapping:
        raise ValueError(
            f"the joints of '{source['dataset_name']}' and of "
            f"'{target['dataset_name']}' have no names in common; set joint_map"
        )
    return sorted(mapping, key=lambda pair: pair[1])


def labeled_points(keypoints: np.ndarray, visible: np.ndarray) -> np.ndarray:
    """Return joints, NaN where they are not labeled.

    Args:
        keypoints (np.ndarray): Shape (..., K, D), D >= 2.
        visible (np.ndarray): ``keypoints_visible`` of MMPose (..., K), above 0 for
            labeled joints, or (..., K, 2), with the weights of the joints.

    Returns:
        np.ndarray: x and y, shape (..., K, 2), float64.
    """
    points = np.array(keypoints[..., :2], dtype=float)
    if visible.ndim == keypoints.ndim:
        visible = visible.prod(axis=-1)
    points[visible <= 0] = np.nan
    return points
