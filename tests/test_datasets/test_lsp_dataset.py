import json

import numpy as np
from mmpose.datasets.datasets.utils import parse_pose_metainfo

from mmpose_da.datasets import LspDataset


def test_joint_definition():
    meta = parse_pose_metainfo(LspDataset.METAINFO)
    names = [meta["keypoint_id2name"][i] for i in range(14)]
    assert names[0] == "right_ankle" and names[12:] == ["neck", "head_top"]
    for i, j in enumerate(meta["flip_indices"]):
        swapped = names[i].replace("right", "#").replace("left", "right")
        assert names[j] == swapped.replace("#", "left")
    assert sorted(meta["upper_body_ids"]) == list(range(6, 14))
    assert sorted(meta["lower_body_ids"]) == list(range(6))
    # the skeleton is connected
    reached = {0}
    for _ in range(14):
        reached |= {
            k for link in meta["skeleton_links"] if reached & {*link} for k in link
        }
    assert reached == set(range(14))
    assert len(meta["sigmas"]) == len(meta["dataset_keypoint_weights"]) == 14


def test_reads_coco_style_json(tmp_path):
    keypoints = np.zeros((14, 3))
    keypoints[3] = [5, 7, 2]
    annotation = dict(
        id=4,
        image_id=1,
        category_id=1,
        iscrowd=0,
        bbox=[0, 0, 9, 9],
        area=81,
        keypoints=keypoints.ravel().tolist(),
        num_keypoints=1,
    )
    content = dict(
        images=[dict(id=1, file_name="a.jpg", width=10, height=10)],
        annotations=[annotation],
        categories=[dict(id=1, name="person")],
    )
    (tmp_path / "lsp.json").write_text(json.dumps(content))
    dataset = LspDataset(ann_file=str(tmp_path / "lsp.json"))
    info = dataset.get_data_info(0)
    np.testing.assert_array_equal(info["keypoints"][0, 3], [5, 7])
    assert info["keypoints_visible"].sum() == 1 and info["keypoints_visible"][0, 3] == 1
