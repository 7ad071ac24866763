from __future__ import annotations

from collections.abc import Sequence

from mmengine.runner import Runner
from mmpose.engine.hooks import PoseVisualizationHook
from mmpose.registry import HOOKS
from mmpose.structures import PoseDataSample


@HOOKS.register_module()
class IntervalVisualizationHook(PoseVisualizationHook):
    """Visualization hook that also applies ``interval`` during testing.

    ``PoseVisualizationHook`` draws every test batch, regardless of its interval. This
    hook draws every ``interval``-th batch. The arguments are those of
    :class:`mmpose.engine.hooks.PoseVisualizationHook`.
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
