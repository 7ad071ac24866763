from mmpose.datasets.datasets.base import BaseCocoStyleDataset
from mmpose.registry import DATASETS

_COLORS = dict(right=[255, 128, 0], left=[0, 255, 0], centre=[51, 153, 255])

#: Each joint and its parent, in SMPL's order.
_JOINTS = [
    ("pelvis", None),
    *(("left_hip", "pelvis"), ("right_hip", "pelvis"), ("spine1", "pelvis")),
    *(("left_knee", "left_hip"), ("right_knee", "right_hip"), ("spine2", "spine1")),
    *(("left_ankle", "left_knee"), ("right_ankle", "right_knee")),
    ("spine3", "spine2"),
    *(("left_toes", "left_ankle"), ("right_toes", "right_ankle")),
    *(("neck", "spine3"), ("left_collar", "spine3"), ("right_collar", "spine3")),
    ("head", "neck"),
    *(("left_shoulder", "left_collar"), ("right_shoulder", "right_collar")),
    *(("left_elbow", "left_shoulder"), ("right_elbow", "right_shoulder")),
    *(("left_wrist", "left_elbow"), ("right_wrist", "right_elbow")),
    *(("left_fingers", "left_wrist"), ("right_fingers", "right_wrist")),
]

_LOWER = ("hip", "knee", "ankle", "toes", "pelvis")


def _joint(index: int, name: str) -> dict:
    side, _, part = name.rpartition("_")
    other = dict(right="left", left="right").get(side)
    return dict(
        name=name,
        id=index,
        color=_COLORS[side or "centre"],
        type="lower" if part in _LOWER else "upper",
        swap=f"{other}_{part}" if other else "",
    )


def _bone(index: int, name: str, parent: str | None) -> dict:
    side = name.rpartition("_")[0] or "centre"
    return dict(link=(parent, name), id=index, color=_COLORS[side])


@DATASETS.register_module()
class SurrealDataset(BaseCocoStyleDataset):
    """SURREAL in COCO-style JSON, as `tools/dataset_converters/surreal.py` writes it.

    "Learning from Synthetic Humans", CVPR'2017, by Varol et al.

    SURREAL keypoints are the joints of SMPL::

        0: 'pelvis'
        1: 'left_hip'
        2: 'right_hip'
        3: 'spine1'
        4: 'left_knee'
        5: 'right_knee'
        6: 'spine2'
        7: 'left_ankle'
        8: 'right_ankle'
        9: 'spine3'
        10: 'left_toes'
        11: 'right_toes'
        12: 'neck'
        13: 'left_collar'
        14: 'right_collar'
        15: 'head'
        16: 'left_shoulder'
        17: 'right_shoulder'
        18: 'left_elbow'
        19: 'right_elbow'
        20: 'left_wrist'
        21: 'right_wrist'
        22: 'left_fingers'
        23: 'right_fingers'

    Left and right are those of the person in the image. SURREAL's own are swapped. The
    head is the joint about which it rotates, not its top. A joint with visibility 0 is
    outside the image; whether the others are occluded is unknown.
    """

    METAINFO: dict = dict(
        dataset_name="surreal",
        paper_info=dict(
            author="Gul Varol and Javier Romero and Xavier Martin and Naureen Mahmood "
            "and Michael J. Black and Ivan Laptev and Cordelia Schmid",
            title="Learning from Synthetic Humans",
            container="Proceedings of the IEEE Conference on Computer Vision and "
            "Pattern Recognition",
            year="2017",
            homepage="https://www.di.ens.fr/willow/research/surreal/",
        ),
        keypoint_info={i: _joint(i, name) for i, (name, _) in enumerate(_JOINTS)},
        skeleton_info={
            i: _bone(i, name, parent) for i, (name, parent) in enumerate(_JOINTS[1:])
        },
        joint_weights=[1.0] * len(_JOINTS),
        sigmas=[],
    )
