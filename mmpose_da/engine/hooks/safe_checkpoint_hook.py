from __future__ import annotations

from collections import deque
from typing import Any

import torch
from mmengine.dist import all_reduce_params, get_world_size, is_main_process
from mmengine.hooks import CheckpointHook
from mmengine.runner import Runner
from mmpose.registry import HOOKS

from .unwrap import model_of


@HOOKS.register_module()
class SafeCheckpointHook(CheckpointHook):
    """Checkpoint hook that always keeps a checkpoint for exact resume.

    - Files are written atomically (:class:`~mmpose_da.engine.AtomicLocalBackend`).
    - An old checkpoint is removed only after the new one is on disk.
    - Accumulated gradients are saved, and restored on resume.
    - State that differs between processes is averaged over them before it is saved:
      accumulated gradients, and floating-point buffers such as batch normalization
      statistics. The checkpoint holds one copy, which all processes load on resume.

    ``configs/_base_/runtime.py`` declares it. The arguments are those of
    :class:`mmengine.hooks.CheckpointHook`; ``backend_args`` defaults to
    ``dict(backend='atomic')``.
    """

    keep_ckpt_ids: deque[int]

    def __init__(
        self, *args: Any, backend_args: dict | None = None, **kwargs: Any
    ) -> None:
        backend_args = backend_args or dict(backend="atomic")
        super().__init__(*args, backend_args=backend_args, **kwargs)
        self._gradients: dict[str, torch.Tensor] = {}

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        self._gradients = checkpoint.get("gradients", {})

    def before_train(self, runner: Runner) -> None:
        super().before_train(runner)
        if runner.iter > 0:  # resumed, not initialized from a checkpoint
            # MMEngine adds a new best score to the last checkpoint if this is set.
            self.last_ckpt = runner.message_hub.get_info("last_ckpt")
            for name, parameter in model_of(runner).named_parameters():
                if name in self._gradients:
                    parameter.grad = self._gradients[name].to(parameter)
        self._gradients = {}

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        accumulated = _accumulated_gradients(runner)
        if accumulated:
            checkpoint["gradients"] = {k: v.cpu() for k, v in accumulated.items()}

    def _save_checkpoint_with_step(self, runner: Runner, step: int, meta: dict) -> None:
        if get_world_size() > 1:
            buffers = [b for b in model_of(runner).buffers() if b.is_floating_point()]
            own = [*buffers, *_accumulated_gradients(runner).values()]
            all_reduce_params(own, op="mean")

        outdated = []
        if self.max_keep_ckpts > 0:
            ids = [i for i in self.keep_ckpt_ids if i != step] + [step]
            outdated = ids[: -self.max_keep_ckpts]
            self.keep_ckpt_ids = deque(ids, self.max_keep_ckpts)
            # Include the outdated ones: if the run is killed before it removes them,
            # the resumed run does.
            runner.message_hub.update_info("keep_ckpt_ids", ids)
        self.last_ckpt = self._path(step)
        runner.message_hub.update_info("last_ckpt", self.last_ckpt)
        runner.save_checkpoint(
            self.out_dir,
            self.filename_tmpl.format(step),
            save_optimizer=self.save_optimizer,
            save_param_scheduler=self.save_param_scheduler,
            meta=meta,
            by_epoch=self.by_epoch,
            backend_args=self.backend_args,
            **self.args,
        )
        if is_main_process():
            pointer = self.file_backend.join_path(runner.work_dir, "last_checkpoint")
            self.file_backend.put_text(self.last_ckpt, pointer)
            for old in outdated:
                path = self._path(old)
                if self.file_backend.isfile(path):
                    self.file_backend.remove(path)

    def _path(self, step: int) -> str:
        name = self.filename_tmpl.format(step)
        return self.file_backend.join_path(self.out_dir, name)


def _accumulated_gradients(runner: Runner) -> dict[str, torch.Tensor]:
    """Return gradients that await further accumulation, by parameter name."""
    if runner.optim_wrapper.should_update():
        return {}
    parameters = dict(model_of(runner).named_parameters())
    for parameter in parameters.values():
        if parameter.requires_grad and parameter.grad is None:
            parameter.grad = torch.zeros_like(parameter)  # as on the other ranks
    return {
        name: parameter.grad
        for name, parameter in parameters.items()
        if parameter.requires_grad and parameter.grad is not None
    }
