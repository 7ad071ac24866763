from __future__ import annotations

from typing import Any

from mmpose.registry import VISUALIZERS
from mmpose.visualization import PoseLocalVisualizer

from ..structures import joint_definition


@VISUALIZERS.register_module()
class JointsVisualizer(PoseLocalVisualizer):
    """MMPose's visualizer for a model whose joints differ from the dataset's.

    Args:
        joints (str | dict): The joint definition of the predictions; see
            :func:`~mmpose_da.structures.joint_metainfo`.
        name (str): Name of the visualizer. Defaults to ``'visualizer'``.
        kwargs: See :class:`mmpose.visualization.PoseLocalVisualizer`.
    """

    def __init__(
        self, joints: str | dict, name: str = "visualizer", **kwargs: Any
    ) -> None:
        super().__init__(name, **kwargs)
        self._joints = joint_definition(joints)

    def set_dataset_meta(self, dataset_meta: dict, *args: Any, **kwargs: Any) -> None:
        """Use names, skeleton, and colors of ``joints``, not of the dataset."""
        super().set_dataset_meta(self._joints, *args, **kwargs)
