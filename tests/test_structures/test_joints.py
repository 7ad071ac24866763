import numpy as np
import pytest

from mmpose_da.structures import (
    joint_definition,
    joint_mapping,
    joint_metainfo,
    labeled_points,
)


def test_definitions_by_dataset_or_by_metainfo():
    by_name = joint_definition("MpiiDataset")
    by_file = joint_definition(dict(from_file="configs/_base_/datasets/mpii.py"))
    assert by_name["keypoint_name2id"] == by_file["keypoint_name2id"]
    assert joint_definition("LspDataset")["num_keypoints"] == 14


def test_a_definition_is_a_copy():
    joint_metainfo("LspDataset")["sigmas"].clear()
    assert len(joint_metainfo("LspDataset")["sigmas"]) == 14


@pytest.mark.parametrize("joints", ["NoDataset", "CombinedDataset"])
def test_unknown_definitions(joints):
    with pytest.raises(ValueError, match=f"joints='{joints}'"):
        joint_definition(joints)


def test_mapping_by_name_by_midpoint_and_by_other_name():
    coco, mpii, lsp = map(
        joint_definition, ("CocoDataset", "MpiiDataset", "LspDataset")
    )
    plain = joint_mapping(coco, mpii)
    assert len(plain) == 12 and (16, 0) in plain and (5, 13) in plain
    names = dict(neck="upper_neck", head_top="head_top")
    renamed = joint_mapping(mpii, lsp, names)
    assert len(renamed) == 14 and (8, 12) in renamed and (9, 13) in renamed
    middle = joint_mapping(coco, mpii, dict(pelvis=("left_hip", "right_hip")))
    assert ((11, 12), 6) in middle


def test_mappings_that_cannot_be():
    coco, mpii = joint_definition("CocoDataset"), joint_definition("MpiiDataset")
    with pytest.raises(ValueError, match="joint 'tail', .*'coco' lacks"):
        joint_mapping(coco, mpii, dict(pelvis=("tail", "left_hip")))
    with pytest.raises(ValueError, match="joint 'tail', .*'mpii' lacks"):
        joint_mapping(coco, mpii, dict(tail="nose"))
    with pytest.raises(ValueError, match="one joint or two"):
        joint_mapping(coco, mpii, dict(pelvis=("nose", "left_hip", "right_hip")))
    with pytest.raises(ValueError, match="no names in common"):
        joint_mapping(coco, joint_definition("Horse10Dataset"))


@pytest.mark.parametrize("with_weights", [False, True])
def test_labeled_points(with_weights):
    keypoints = np.arange(18, dtype=np.float32).reshape(2, 3, 3)
    visible = np.array([[1, 0, 2], [0, 1, 1]], np.float32)
    if with_weights:  # a joint without a weight counts as not labeled
        visible = np.stack([visible, [[1, 1, 0], [1, 1, 1]]], axis=-1)
    points = labeled_points(keypoints, visible)
    expected = [
        [[0, 1], [np.nan] * 2, [np.nan] * 2 if with_weights else [6, 7]],
        [[np.nan] * 2, [12, 13], [15, 16]],
    ]
    np.testing.assert_array_equal(points, expected)
    assert points.dtype == float and keypoints[0, 1, 0] == 3
