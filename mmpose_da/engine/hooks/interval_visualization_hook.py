from __future__ import annotations

from collections.abc import Sequence

from mmengine.runner import Runner
from mmpose.engine.hooks import PoseVisualizationHook
from mmpose.registry import HOOKS
from mmpose.structures import PoseDataSample


@HOOKS.register_module()
class IntervalVisualizationHook(PoseVisualizationHook):
    """MMPose's hook, which draws one of ``interval`` batches in a test as well.

    ``PoseVisualizationHook`` draws all of a test, whatever its interval. The arguments
    are those of :class:`mmpose.engine.hooks.PoseVisualizationHook`.
    """

    def after_test_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: dict,
        outputs: Sequence[PoseDataSample],
    ) -> None:
        if batch_idx % self.interval == 0:
            super().after_test_iter(runner, batch_idx, data_batch, outputs)
