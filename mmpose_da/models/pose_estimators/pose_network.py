from __future__ import annotations

from mmengine.model import BaseModule
from mmpose.models import TopdownPoseEstimator
from mmpose.models.pose_estimators.base import BasePoseEstimator
from mmpose.utils.typing import OptSampleList
from torch import Tensor

#: The parts of an estimator that are deployed.
PARTS = ("backbone", "neck", "head")


class PoseNetwork(TopdownPoseEstimator):
    """A stock top-down estimator made of the parts of another estimator.

    Student, teacher, and published model are networks of this kind. The state dict has
    the keys of the stock estimator. Images must be preprocessed.

    Args:
        estimator (BasePoseEstimator): Its backbone, neck, and head are shared, not
            copied.
    """

    def __init__(self, estimator: BasePoseEstimator) -> None:
        BaseModule.__init__(self)  # MMPose would build the parts from configs
        for name in PARTS:
            if getattr(estimator, name, None) is not None:
                setattr(self, name, getattr(estimator, name))
        self.metainfo = estimator.metainfo
        self.train_cfg, self.test_cfg = estimator.train_cfg, estimator.test_cfg
        self.training = estimator.training

    def forward(
        self, inputs: Tensor, data_samples: OptSampleList = None, mode: str = "tensor"
    ) -> object:
        return super().forward(inputs, data_samples, mode)
