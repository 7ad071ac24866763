from __future__ import annotations

from mmengine.dist import all_reduce_params, get_world_size
from mmengine.hooks import Hook
from mmengine.runner import Runner
from mmpose.registry import HOOKS
from torch import nn

from ...models.adaptations import MeanTeacher
from .unwrap import model_of


@HOOKS.register_module()
class EMATeacherHook(Hook):
    """Moves the teacher of :class:`MeanTeacher` after each step of the optimizer.

    The teacher starts as a copy of the student when the training starts. It is a part
    of the model and so of every checkpoint: a resumed training goes on with it.

    With several processes the weights of the teacher are equal, as the student's are;
    the statistics of batch normalisation, of which each process has its own, are
    averaged over the processes.
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
        if runner.optim_wrapper.should_update():  # not while gradients add up
            self.update(model_of(runner))

    def update(self, model: nn.Module) -> None:
        """Move the teachers of an estimator one step."""
        for teacher in self._teachers(model):
            teacher.update(model)
            if get_world_size() > 1:
                buffers = teacher.average.module.buffers()
                all_reduce_params(
                    [buffer for buffer in buffers if buffer.is_floating_point()],
                    op="mean",
                )

    @staticmethod
    def _teachers(model: nn.Module) -> list[MeanTeacher]:
        adaptations = getattr(model, "adaptations", {})
        return [a for a in adaptations.values() if isinstance(a, MeanTeacher)]
