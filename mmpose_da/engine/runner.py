"""A Runner whose log starts with what matters."""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import Any

import mmcv
import mmengine
import mmpose
import torch
from mmengine.dist import get_world_size, is_main_process, master_only
from mmengine.logging import MMLogger
from mmengine.runner import Runner
from mmpose.registry import RUNNERS

from ..version import __version__
from .hooks.unwrap import model_of


@RUNNERS.register_module()
class ConciseLogRunner(Runner):
    """A Runner whose log starts with a summary of the run.

    MMEngine's log starts with several hundred lines: the environment, the whole config,
    and the order of the hooks. Here they are in ``setup.log``, beside the log, and the
    log starts with versions, device, config, model, batch, and initial weights. The
    config is also in the work directory, as always. Nothing else differs.

    The arguments are those of :class:`mmengine.runner.Runner`.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.logger.removeFilter(self._keep)
        self._log_summary()

    def build_logger(self, *args: Any, **kwargs: Any) -> MMLogger:
        """Build the logger; until the Runner is built, long messages go to a file."""
        logger = super().build_logger(*args, **kwargs)
        logger.addFilter(self._keep)
        return logger

    @property
    def setup_log(self) -> Path:
        """The file for the environment, the config, and the order of the hooks."""
        return Path(self.log_dir, "setup.log")

    def _keep(self, record: logging.LogRecord) -> bool:
        text = record.getMessage()
        if record.levelno > logging.INFO or "\n" not in text:
            return True
        if is_main_process():
            with open(self.setup_log, "a", encoding="utf-8") as file:
                file.write(f"{text}\n")
        return False

    @master_only
    def _log_summary(self) -> None:
        config = self.cfg.filename or "a config without a file"
        processes = _count(get_world_size(), "process", "es")
        for line in (
            f"MMPose-DA {__version__}, MMPose {mmpose.__version__}, "
            f"MMEngine {mmengine.__version__}, MMCV {mmcv.__version__}, "
            f"PyTorch {torch.__version__}",
            f"{self._device()}, {processes}, seed {self.seed}",
            f"config {config}, in full in {self.work_dir}; environment and hooks: "
            f"{self.setup_log}",
            self._model(),
            *self._training(),
        ):
            self.logger.info(line)

    @staticmethod
    def _device() -> str:
        if torch.cuda.is_available():
            return f"GPU {torch.cuda.get_device_name()}"
        return f"CPU with {torch.get_num_threads()} of {os.cpu_count()} threads"

    def _model(self) -> str:
        model = model_of(self)
        network = getattr(model, "student", model)
        millions = sum(p.numel() for p in network.parameters()) / 1e6
        parts = [getattr(network, name, None) for name in ("backbone", "neck", "head")]
        names = [type(part).__name__ for part in parts if part is not None]
        text = (
            f"{type(model).__name__}: {', '.join(names)}, {millions:.2f} M parameters"
        )
        adaptations = getattr(model, "adaptations", {})
        if adaptations:
            text += f"; adaptations: {', '.join(adaptations)}"
        return text

    def _training(self) -> list[str]:
        """Describe the batch, the budget, and the initial weights of a training run."""
        if not isinstance(self._train_loop, dict):
            return []  # a test
        loader = self.cfg.get("train_dataloader") or {}
        sampler = loader.get("batch_sampler") or {}
        counts = sampler.get("samples_per_domain") or {
            "images": loader.get("batch_size")
        }
        batch = ", ".join(f"{count} {domain}" for domain, count in counts.items())
        iters = self._train_loop.get("max_iters")
        epochs = self._train_loop.get("max_epochs")
        budget = _count(iters, "iteration") if iters else _count(epochs, "epoch")
        start = "resumes from" if self._resume else "starts from"
        weights = self._load_from or "the initial weights of the model"
        return [f"batches of {batch}, for {budget}", f"{start} {weights}"]


def _count(number: int | None, noun: str, ending: str = "s") -> str:
    return f"{number} {noun}{'' if number == 1 else ending}"
