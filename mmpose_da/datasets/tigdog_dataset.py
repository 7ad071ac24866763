from mmpose.datasets.datasets.base import BaseCocoStyleDataset
from mmpose.registry import DATASETS

_COLORS = dict(right=[255, 128, 0], left=[0, 255, 0], centre=[51, 153, 255])

_LEGS = ("left_front", "right_front", "left_back", "right_back")
_JOINTS = [
    *("left_eye", "right_eye", "chin"),
    *(f"{leg}_hoof" for leg in _LEGS),
    "tail_start",
    *(f"{leg}_knee" for leg in _LEGS),
    *("left_shoulder", "right_shoulder"),
    *(f"{leg}_elbow" for leg in _LEGS),
]

_LIMBS = [
    *(("left_eye", "chin"), ("right_eye", "chin")),
    *(("chin", "left_shoulder"), ("chin", "right_shoulder")),
    *(("left_shoulder", "tail_start"), ("right_shoulder", "tail_start")),
    *(("left_shoulder", "left_front_elbow"), ("right_shoulder", "right_front_elbow")),
    *(("tail_start", "left_back_elbow"), ("tail_start", "right_back_elbow")),
    *((f"{leg}_elbow", f"{leg}_knee") for leg in _LEGS),
    *((f"{leg}_knee", f"{leg}_hoof") for leg in _LEGS),
]


def _joint(index: int, name: str) -> dict:
    side, _, part = name.partition("_")
    other = dict(right="left", left="right").get(side)
    return dict(
        name=name,
        id=index,
        color=_COLORS[side if other else "centre"],
        type="lower" if part.startswith("back") or name == "tail_start" else "upper",
        swap=f"{other}_{part}" if other else "",
    )


def _limb(index: int, start: str, end: str) -> dict:
    side = end.partition("_")[0]
    return dict(link=(start, end), id=index, color=_COLORS.get(side, [51, 153, 255]))


@DATASETS.register_module()
class TigDogDataset(BaseCocoStyleDataset):
    """TigDog's horses and tigers, and synthetic animals, in COCO-style JSON.

    "Articulated Motion Discovery using Pairs of Trajectories", CVPR'2015, by Del Pero
    et al., and "Learning from Synthetic Animals", CVPR'2020, by Mu et al.;
    `tools/dataset_converters/tigdog.py` and `synthetic_animals.py` write them.

    The keypoints, in the order of Mu et al., are TigDog's without the neck::

        0: 'left_eye'
        1: 'right_eye'
        2: 'chin'
        3: 'left_front_hoof'
        4: 'right_front_hoof'
        5: 'left_back_hoof'
        6: 'right_back_hoof'
        7: 'tail_start'
        8: 'left_front_knee'
        9: 'right_front_knee'
        10: 'left_back_knee'
        11: 'right_back_knee'
        12: 'left_shoulder'
        13: 'right_shoulder'
        14: 'left_front_elbow'
        15: 'right_front_elbow'
        16: 'left_back_elbow'
        17: 'right_back_elbow'

    A joint with visibility 0 is not labeled.
    """

    METAINFO: dict = dict(
        dataset_name="tigdog",
        paper_info=dict(
            author="Luca Del Pero and Susanna Ricco and Rahul Sukthankar and Vittorio "
            "Ferrari",
            title="Articulated Motion Discovery using Pairs of Trajectories",
            container="Proceedings of the IEEE Conference on Computer Vision and "
            "Pattern Recognition",
            year="2015",
            homepage="http://calvin-vision.net/datasets/tigdog/",
        ),
        keypoint_info={i: _joint(i, name) for i, name in enumerate(_JOINTS)},
        skeleton_info={i: _limb(i, *limb) for i, limb in enumerate(_LIMBS)},
        joint_weights=[1.0] * len(_JOINTS),
        sigmas=[],
    )
