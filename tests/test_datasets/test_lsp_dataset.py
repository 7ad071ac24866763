from joint_definitions import check_definition, check_reading

from mmpose_da.datasets import LspDataset


def test_joint_definition():
    meta = check_definition(LspDataset)
    names = [meta["keypoint_id2name"][i] for i in range(14)]
    assert names[0] == "right_ankle" and names[12:] == ["neck", "head_top"]
    assert sorted(meta["upper_body_ids"]) == list(range(6, 14))
    assert sorted(meta["lower_body_ids"]) == list(range(6))
    assert len(meta["sigmas"]) == 14


def test_reads_coco_style_json(tmp_path):
    check_reading(LspDataset, tmp_path)
