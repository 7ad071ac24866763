from joint_definitions import check_definition, check_reading

from mmpose_da.datasets import SurrealDataset


def test_joint_definition():
    meta = check_definition(SurrealDataset)
    halves = dict(upper_body_ids="wrist", lower_body_ids="knee")
    for half, part in halves.items():
        joints = {meta["keypoint_id2name"][i] for i in meta[half]}
        assert {f"left_{part}", f"right_{part}"} <= joints


def test_reads_coco_style_json(tmp_path):
    check_reading(SurrealDataset, tmp_path)
