"""The process of a stage: ``python -m`` this, with its kind and its arguments."""

import os
import sys

from mmengine.config import Config

from mmpose_da.apis.pseudo_labels import pseudo_label
from mmpose_da.apis.stages import PARENT
from mmpose_da.apis.training import set_start, train
from mmpose_da.engine.workers import kill_with_parent


def train_config(config: str, work_dir: str) -> None:
    """Train a config file in a work directory, or resume it there."""
    cfg = Config.fromfile(config)
    cfg.update(work_dir=work_dir, launcher="none")
    set_start(cfg, "auto")
    train(cfg)


def label_config(config: str, out: str) -> None:
    """Write pseudo-labels by the checkpoint ``load_from`` of a config file."""
    cfg = Config.fromfile(config)
    pseudo_label(cfg, cfg.load_from, **cfg.get("pseudo_labeling", {})).save(out)


if __name__ == "__main__":
    kill_with_parent(int(os.environ[PARENT]))
    kind, *arguments = sys.argv[1:]
    dict(train=train_config, label=label_config)[kind](*arguments)
