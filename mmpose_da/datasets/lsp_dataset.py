from mmpose.datasets.datasets.base import BaseCocoStyleDataset
from mmpose.registry import DATASETS

_COLORS = dict(right=[255, 128, 0], left=[0, 255, 0], centre=[51, 153, 255])

_JOINTS = [
    *("right_ankle", "right_knee", "right_hip"),
    *("left_hip", "left_knee", "left_ankle"),
    *("right_wrist", "right_elbow", "right_shoulder"),
    *("left_shoulder", "left_elbow", "left_wrist"),
    *("neck", "head_top"),
]

_LIMBS = [
    ("right_ankle", "right_knee", "right"),
    ("right_knee", "right_hip", "right"),
    ("right_hip", "left_hip", "centre"),
    ("left_hip", "left_knee", "left"),
    ("left_knee", "left_ankle", "left"),
    ("right_hip", "right_shoulder", "right"),
    ("left_hip", "left_shoulder", "left"),
    ("right_shoulder", "neck", "right"),
    ("left_shoulder", "neck", "left"),
    ("right_shoulder", "right_elbow", "right"),
    ("right_elbow", "right_wrist", "right"),
    ("left_shoulder", "left_elbow", "left"),
    ("left_elbow", "left_wrist", "left"),
    ("neck", "head_top", "centre"),
]


def _joint(index: int, name: str) -> dict:
    side, _, part = name.partition("_")
    other = dict(right="left", left="right").get(side)
    return dict(
        name=name,
        id=index,
        color=_COLORS[side if other else "centre"],
        type="lower" if part in ("ankle", "knee", "hip") else "upper",
        swap=f"{other}_{part}" if other else "",
    )


@DATASETS.register_module()
class LspDataset(BaseCocoStyleDataset):
    """Leeds Sports Pose and its extended set, in COCO-style JSON.

    "Clustered Pose and Nonlinear Appearance Models for Human Pose Estimation",
    BMVC'2010, and "Learning Effective Human Pose Estimation from Inaccurate
    Annotation", CVPR'2011, both by Johnson and Everingham.

    LSP keypoints, in the order of the original ``joints.mat``::

        0: 'right_ankle'
        1: 'right_knee'
        2: 'right_hip'
        3: 'left_hip'
        4: 'left_knee'
        5: 'left_ankle'
        6: 'right_wrist'
        7: 'right_elbow'
        8: 'right_shoulder'
        9: 'left_shoulder'
        10: 'left_elbow'
        11: 'left_wrist'
        12: 'neck'
        13: 'head_top'

    A joint with visibility 0 is not labeled. The sigmas of the object keypoint
    similarity are COCO's; those of the neck and the head top are CrowdPose's.
    """

    METAINFO: dict = dict(
        dataset_name="lsp",
        paper_info=dict(
            author="Sam Johnson and Mark Everingham",
            title="Clustered Pose and Nonlinear Appearance Models for Human Pose "
            "Estimation",
            container="Proceedings of the British Machine Vision Conference",
            year="2010",
        ),
        keypoint_info={i: _joint(i, name) for i, name in enumerate(_JOINTS)},
        skeleton_info={
            i: dict(link=(start, end), id=i, color=_COLORS[side])
            for i, (start, end, side) in enumerate(_LIMBS)
        },
        joint_weights=[1.5, 1.2, 1, 1, 1.2, 1.5, 1.5, 1.2, 1, 1, 1.2, 1.5, 1, 1],
        sigmas=[
            *(0.089, 0.087, 0.107, 0.107, 0.087, 0.089),
            *(0.062, 0.072, 0.079, 0.079, 0.072, 0.062),
            *(0.079, 0.079),
        ],
    )
