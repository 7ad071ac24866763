"""Pictures of 3D poses."""

import cv2
import numpy as np
import pytest
from mmpose.registry import DATASETS, MODELS
from tiny_domains_3d import VAL_PIPELINE, head_config, pose3d_config, write_pose3d
from tiny_model import model_config

from mmpose_da.visualization import draw_poses_3d, poses_3d


@pytest.fixture
def people(tmp_path):
    write_pose3d(tmp_path / "p", 3)
    config = pose3d_config(tmp_path / "p", test_mode=True, pipeline=VAL_PIPELINE)
    return DATASETS.build(config)


def build():
    cfg = model_config(type="DomainAdaptiveTopdown")
    cfg.update(head=head_config(), joints="Human36mDataset", test_cfg=dict())
    return MODELS.build(cfg)


def test_each_row_is_what_its_title_says(people, tmp_path, monkeypatch):
    drawn = []
    draw = poses_3d._draw

    def note(axes, pose, bones, names, reach):
        drawn.append(pose)
        draw(axes, pose, bones, names, reach)

    monkeypatch.setattr(poses_3d, "_draw", note)
    models = dict(before=build(), after=build())
    draw_poses_3d(models, people, 2, tmp_path / "new" / "poses.png")
    assert np.std(cv2.imread(str(tmp_path / "new" / "poses.png"))) > 0
    assert len(drawn) == 6
    for i in range(2):
        info = people.get_data_info(i)
        truth = np.column_stack([info["keypoints"][0], info["depth"][0]])
        np.testing.assert_allclose(drawn[i], truth - truth[0], atol=1e-3)
    assert not np.allclose(drawn[2], drawn[4])  # other weights
    assert all(np.allclose(pose[0], 0) for pose in drawn)


def test_a_joint_outside_the_image_is_drawn_where_it_is(people, tmp_path, monkeypatch):
    drawn = []
    monkeypatch.setattr(poses_3d, "_draw", lambda axes, pose, *args: drawn.append(pose))
    info = people.get_data_info(0)
    truth = np.column_stack([info["keypoints"][0], info["depth"][0]])
    hidden = dict(info, keypoints=info["keypoints"].copy())
    hidden["keypoints"][0, 10] = 0  # as an annotation file has it
    monkeypatch.setattr(people, "get_data_info", lambda index: hidden)
    draw_poses_3d({}, people, 1, tmp_path / "x.png")
    np.testing.assert_allclose(drawn[0], truth - truth[0], atol=1e-3)


def test_nobody_or_no_depth(people, tmp_path):
    with pytest.raises(ValueError, match="no people to draw"):
        draw_poses_3d({}, people, 0, tmp_path / "x.png")
    info = people.get_data_info(0)
    del info["depth"]
    people.get_data_info = lambda index: dict(info)
    with pytest.raises(ValueError, match="annotation 1 has no depth"):
        draw_poses_3d({}, people, 1, tmp_path / "x.png")
