import numpy as np
from mmengine.structures import InstanceData
from mmpose.registry import VISUALIZERS
from mmpose.structures import PoseDataSample

from mmpose_da.structures import joint_definition


def test_draws_the_joints_of_the_model_not_of_the_dataset():
    """16 joints cannot be drawn with the skeleton of COCO's 17."""
    visualizer = VISUALIZERS.build(
        dict(type="JointsVisualizer", joints="MpiiDataset", name="visualizer")
    )
    visualizer.set_dataset_meta(joint_definition("CocoDataset"))
    assert visualizer.skeleton == joint_definition("MpiiDataset")["skeleton_links"]
    sample = PoseDataSample()
    sample.pred_instances = InstanceData(
        keypoints=np.random.default_rng(0).uniform(5, 60, (1, 16, 2)),
        keypoint_scores=np.ones((1, 16)),
    )
    image = np.zeros((64, 64, 3), np.uint8)
    drawn = visualizer.add_datasample("x", image, sample, draw_gt=False)
    assert (drawn > 0).any()
