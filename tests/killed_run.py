"""Runs that are killed and restarted, in this process."""

from __future__ import annotations

from pathlib import Path

import pytest
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.runner import Runner

from mmpose_da.engine import find_checkpoint


class Killed(Exception):
    pass


class Kill(Hook):
    """Ends a run before an iteration or a validation, after a given number of them."""

    priority = "VERY_HIGH"

    def __init__(self, iterations: int | None = None, validations: int | None = None):
        self.iterations, self.validations = iterations, validations

    def before_train_iter(self, runner, *args, **kwargs):
        if runner.iter == self.iterations:
            raise Killed

    def after_val_epoch(self, runner, metrics=None):
        if self.validations is not None:
            self.validations -= 1
            if self.validations < 0:
                raise Killed


class Runs:
    """Starts runs of one config, each as if in a new process."""

    def __init__(self, cfg: Config) -> None:
        self.cfg, self.starts = cfg, 0

    def __call__(self, work_dir: Path, hook: Hook | None = None, **changes) -> Runner:
        self.starts += 1
        cfg = Config(self.cfg.to_dict())
        cfg.merge_from_dict(changes)
        latest = find_checkpoint(work_dir)
        name = f"{work_dir.name}_{self.starts}"
        cfg.visualizer.name = name  # named objects are kept within a process
        cfg.update(
            work_dir=str(work_dir),
            experiment_name=name,
            resume=latest is not None,
            load_from=latest,
        )
        runner = Runner.from_cfg(cfg)
        if hook is not None:
            runner.register_hook(hook)
            with pytest.raises(Killed):
                runner.train()
        else:
            runner.train()
        return runner
