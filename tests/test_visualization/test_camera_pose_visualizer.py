"""MMPose's 3D visualizer with the predictions of a marginal head."""

import cv2
import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from mmengine.structures import InstanceData
from mmpose.registry import VISUALIZERS
from mmpose.structures import PoseDataSample

from mmpose_da.structures import joint_definition
from mmpose_da.visualization.camera_pose_visualizer import EXTENT, upright

IMAGE = np.full((96, 96, 3), 90, np.uint8)


@pytest.fixture
def visualizer(tmp_path):
    config = dict(type="CameraPoseVisualizer", name=str(tmp_path))
    built = VISUALIZERS.build(config)
    built.set_dataset_meta(joint_definition("Pose3dDataset"))
    return built


@pytest.fixture
def sample():
    """A standing person: the head is up in the image, the right foot is nearer."""
    joints = joint_definition("Pose3dDataset")
    names = {name: i for i, name in joints["keypoint_id2name"].items()}
    pose = np.random.default_rng(0).uniform(40, 56, (17, 3)) - [0, 0, 48]
    pose[names["head"]] = [48, 10, 0]
    pose[names["left_foot"]] = [52, 86, 20]
    pose[names["right_foot"]] = [44, 86, -20]
    found = InstanceData(
        keypoints=pose[None].astype("f4"),
        keypoint_scores=np.ones((1, 17)),
        bboxes=np.array([[8.0, 8.0, 88.0, 88.0]]),
        bbox_scores=np.ones(1),
    )
    return PoseDataSample(pred_instances=found, metainfo=dict(ids=names))


def test_upright(sample):
    pose, ids = sample.pred_instances.keypoints[0], sample.metainfo["ids"]
    turned = upright(pose)
    assert turned[:, 2].min() == pytest.approx(0)
    assert np.ptp(turned, axis=0).max() == pytest.approx(EXTENT)
    assert turned[ids["head"], 2] == turned[:, 2].max() == pytest.approx(EXTENT)
    # What is nearer to the camera has a larger y, and what is to the right in the image
    # a smaller x: MMPose looks from the side of y, with x to the left.
    left, right = turned[ids["left_foot"]], turned[ids["right_foot"]]
    assert right[1] > left[1] and right[0] > left[0]
    # The shape is the same.
    scale = EXTENT / np.ptp(pose, axis=0).max()
    distances = np.linalg.norm(pose[:, None] - pose, axis=-1)
    np.testing.assert_allclose(
        np.linalg.norm(turned[:, None] - turned, axis=-1), scale * distances, atol=1e-5
    )


def test_draws_as_the_hook_asks_for(visualizer, sample, tmp_path):
    before = sample.pred_instances.keypoints.copy()
    visualizer.add_datasample(
        "test_img",
        IMAGE,
        data_sample=sample,
        show=False,
        draw_gt=False,
        draw_bbox=True,
        draw_heatmap=True,
        wait_time=0,
        kpt_thr=0.3,
        out_file=str(tmp_path / "pose.png"),
        step=1,
    )
    picture = cv2.imread(str(tmp_path / "pose.png"))
    assert picture.shape[1] >= 2 * IMAGE.shape[1]
    beside = picture[:, IMAGE.shape[1] :]
    assert np.std(beside) > 5  # bones, not an empty figure
    np.testing.assert_array_equal(sample.pred_instances.keypoints, before)


def test_matplotlib_stays_as_it_is(visualizer, sample, tmp_path):
    had = hasattr(FigureCanvasAgg, "tostring_rgb")
    visualizer.add_datasample("a", IMAGE, sample, out_file=str(tmp_path / "a.png"))
    assert hasattr(FigureCanvasAgg, "tostring_rgb") == had
