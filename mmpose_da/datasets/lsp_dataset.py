from mmpose.datasets.datasets.base import BaseCocoStyleDataset
from mmpose.registry import DATASETS

_RIGHT, _LEFT, _CENTRE = [255, 128, 0], [0, 255, 0], [51, 153, 255]


def _joint(index: int, name: str) -> dict:
    side, other = {"r": ("right", "left"), "l": ("left", "right")}.get(
        name[0] if "_" in name and name != "head_top" else "", ("", "")
    )
    lower = name.endswith(("ankle", "knee", "hip"))
    return dict(
        name=name,
        id=index,
        color={"right": _RIGHT, "left": _LEFT}.get(side, _CENTRE),
        type="lower" if lower else "upper",
        swap=name.replace(side, other, 1) if side else "",
    )


_JOINTS = (
    "right_ankle right_knee right_hip left_hip left_knee left_ankle "
    "right_wrist right_elbow right_shoulder left_shoulder left_elbow left_wrist "
    "neck head_top"
).split()

_LIMBS = [
    ("right_ankle", "right_knee", _RIGHT),
    ("right_knee", "right_hip", _RIGHT),
    ("right_hip", "left_hip", _CENTRE),
    ("left_hip", "left_knee", _LEFT),
    ("left_knee", "left_ankle", _LEFT),
    ("right_hip", "right_shoulder", _RIGHT),
    ("left_hip", "left_shoulder", _LEFT),
    ("right_shoulder", "neck", _RIGHT),
    ("left_shoulder", "neck", _LEFT),
    ("right_shoulder", "right_elbow", _RIGHT),
    ("right_elbow", "right_wrist", _RIGHT),
    ("left_shoulder", "left_elbow", _LEFT),
    ("left_elbow", "left_wrist", _LEFT),
    ("neck", "head_top", _CENTRE),
]


@DATASETS.register_module()
class LspDataset(BaseCocoStyleDataset):
    """Leeds Sports Pose, and its extended set, in COCO-style JSON.

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

    A joint with visibility 0 is not labelled. The sigmas of the object keypoint
    similarity are COCO's, those of neck and head top CrowdPose's.
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
            i: dict(link=(start, end), id=i, color=color)
            for i, (start, end, color) in enumerate(_LIMBS)
        },
        joint_weights=[1.5, 1.2, 1, 1, 1.2, 1.5, 1.5, 1.2, 1, 1, 1.2, 1.5, 1, 1],
        sigmas=[
            *(0.089, 0.087, 0.107, 0.107, 0.087, 0.089),
            *(0.062, 0.072, 0.079, 0.079, 0.072, 0.062),
            *(0.079, 0.079),
        ],
    )
