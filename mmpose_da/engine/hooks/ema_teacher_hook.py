from __future__ import annotations

from mmengine.dist import all_reduce_params, get_world_size
from mmengine.hooks import Hook
from mmengine.runner import Runner
from mmpose.registry import HOOKS

from ...models.adaptations import MeanTeacher
from ...models.pose_estimators import DomainAdaptiveTopdown
from .unwrap import model_of


@HOOKS.register_module()
class EMATeacherHook(Hook):
    """Updates the teacher of :class:`MeanTeacher` after each optimizer step.

    The teacher starts as a copy of the student. It is part of the model, and thus of
    every checkpoint, so a resumed run continues with it.

    In distributed runs, the teacher's weights are the same on all ranks, like the
    student's. Its batch normalization statistics differ between ranks and are averaged
    over them.
    """

    def before_train(self, runner: Runner) -> None:
        model = model_of(runner)
        teachers = self._teachers(model)
        if not teachers:
            raise ValueError(
                "EMATeacherHook is in custom_hooks, but there is no MeanTeacher in "
                "model.adaptations"
            )
        for teacher in teachers:
            if teacher.average.steps == 0:
                teacher.update(model)

    def after_train_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: dict | None = None,
        outputs: dict | None = None,
    ) -> None:
        if runner.optim_wrapper.should_update():  # not while gradients accumulate
            self.update(model_of(runner))

    def update(self, model: DomainAdaptiveTopdown) -> None:
        """Update all teachers of an estimator by one step."""
        for teacher in self._teachers(model):
            teacher.update(model)
            if get_world_size() > 1:
                buffers = teacher.average.module.buffers()
                all_reduce_params(
                    [buffer for buffer in buffers if buffer.is_floating_point()],
                    op="mean",
                )

    @staticmethod
    def _teachers(model: DomainAdaptiveTopdown) -> list[MeanTeacher]:
        adaptations = getattr(model, "adaptations", {})
        return [a for a in adaptations.values() if isinstance(a, MeanTeacher)]
