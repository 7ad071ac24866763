"""Checks of the dataset classes that define joints and read COCO-style JSON."""

import json
from pathlib import Path

import numpy as np
from mmengine.dataset import BaseDataset
from mmpose.datasets.datasets.utils import parse_pose_metainfo


def check_definition(dataset: type[BaseDataset]) -> dict:
    """Check the joint definition of a class, and return it parsed."""
    meta = parse_pose_metainfo(dataset.METAINFO)
    names = [meta["keypoint_id2name"][i] for i in range(meta["num_keypoints"])]
    docstring = dataset.__doc__.split("::\n")[1]
    assert [line.split("'")[1] for line in docstring.splitlines() if ": '" in line] == (
        names
    )
    for i, j in enumerate(meta["flip_indices"]):
        swapped = names[i].replace("right", "#").replace("left", "right")
        assert names[j] == swapped.replace("#", "left")
    reached = {0}  # the skeleton is connected
    for _ in names:
        reached |= {
            k for link in meta["skeleton_links"] if reached & {*link} for k in link
        }
    assert len(reached) == len(names) == len(meta["dataset_keypoint_weights"])
    halves = meta["upper_body_ids"] + meta["lower_body_ids"]
    assert sorted(halves) == list(range(len(names)))
    return meta


def check_reading(dataset: type[BaseDataset], folder: Path) -> None:
    """Check that a class reads a labeled joint from COCO-style JSON."""
    keypoints = np.zeros((len(dataset.METAINFO["keypoint_info"]), 3))
    keypoints[3] = [5, 7, 2]
    annotation = dict(
        id=4,
        image_id=1,
        category_id=1,
        iscrowd=0,
        bbox=[0, 0, 9, 9],
        num_keypoints=1,
        keypoints=keypoints.ravel().tolist(),
    )
    content = dict(
        images=[dict(id=1, file_name="a.jpg", width=10, height=10)],
        annotations=[annotation],
    )
    (folder / "set.json").write_text(json.dumps(content))
    info = dataset(ann_file=str(folder / "set.json")).get_data_info(0)
    np.testing.assert_array_equal(info["keypoints"][0, 3], [5, 7])
    assert info["keypoints_visible"].sum() == info["keypoints_visible"][0, 3] == 1
