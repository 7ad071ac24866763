"""Evaluating a config, and the changes that the options of ``tools/test.py`` make."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import mmengine
from mmengine.config import Config
from mmengine.dist import master_only
from mmengine.hooks import Hook
from mmengine.runner import Runner

from .config import enable_hook
from .training import build_runner


def test(cfg: Config, out: str | Path | None = None) -> dict[str, float]:
    """Evaluate the checkpoint ``load_from`` of a config.

    Args:
        cfg (Config): The config.
        out (str | Path, optional): File for the metrics, in a format that
            :func:`mmengine.dump` supports. Defaults to None.

    Returns:
        dict[str, float]: The metrics.
    """
    runner = build_runner(cfg)
    if out is not None:
        runner.register_hook(SaveMetricsHook(out))
    return runner.test()


class SaveMetricsHook(Hook):
    """Saves the metrics of a test.

    Args:
        path (str | Path): The file, in a format that :func:`mmengine.dump` supports.
    """

    priority = "LOWEST"

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)

    @master_only
    def after_test_epoch(
        self, runner: Runner, metrics: dict[str, float] | None = None
    ) -> None:
        """Save the metrics, on the first process."""
        if metrics is not None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            mmengine.dump(metrics, str(self.path))


def set_checkpoint(cfg: Config, checkpoint: str) -> None:
    """Evaluate a checkpoint, which must have all weights of the deployed network.

    Args:
        cfg (Config): The config, modified in place.
        checkpoint (str): Path or URL of the weights.

    Raises:
        ValueError: If the config has no data to evaluate on.
    """
    if cfg.get("test_dataloader", ...) is None:
        raise ValueError(
            "there is nothing to evaluate on: `test_dataloader` is None; the pair of "
            "domains needs a `target_val`"
        )
    cfg.load_from = checkpoint
    match = dict(type="CheckpointMatchHook", complete=True)
    cfg.setdefault("default_hooks", {})["checkpoint_match"] = match


def enable_drawing(cfg: Config, **settings: Any) -> None:
    """Draw predictions while testing; see :func:`enable_hook`.

    MMPose's hook ignores its ``interval`` in a test. It is replaced with an
    :class:`~mmpose_da.engine.IntervalVisualizationHook`.
    """
    enable_hook(cfg, "visualization", **settings)
    if cfg.default_hooks.visualization.type == "PoseVisualizationHook":
        cfg.default_hooks.visualization.type = "IntervalVisualizationHook"


def dump_predictions(cfg: Config, path: str) -> None:
    """Also write the predictions to a pickle file, to evaluate them later."""
    evaluators = cfg.test_evaluator
    if not isinstance(evaluators, (list, tuple)):
        evaluators = [evaluators]
    dump = dict(type="DumpResults", out_file_path=path)
    cfg.test_evaluator = [*evaluators, dump]


def choose_badcase_metric(cfg: Config) -> None:
    """Select bad cases by the loss of the head or by the evaluator.

    Args:
        cfg (Config): The config, modified in place.

    Raises:
        ValueError: If ``default_hooks.badcase.metric_type`` is neither ``'loss'`` nor
            ``'accuracy'``.
    """
    hook = cfg.default_hooks.badcase
    metrics = {"loss": cfg.model.head.get("loss"), "accuracy": cfg.test_evaluator}
    kind = hook.get("metric_type", "loss")
    if kind not in metrics:
        raise ValueError(
            "`default_hooks.badcase.metric_type` must be 'loss' or 'accuracy', got "
            f"{kind!r}"
        )
    if not hook.get("metric"):
        hook.metric = metrics[kind]
