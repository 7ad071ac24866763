from joint_definitions import check_definition, check_reading

from mmpose_da.datasets import TigDogDataset


def test_joint_definition():
    check_definition(TigDogDataset)


def test_reads_coco_style_json(tmp_path):
    check_reading(TigDogDataset, tmp_path)
