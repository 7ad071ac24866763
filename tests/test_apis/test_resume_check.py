"""Runs in processes that are really killed, and resumed."""

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.logging import HistoryBuffer
from tiny_run import SSDA, run_config

from mmpose_da.apis import resume_check


def history(*values: float) -> HistoryBuffer:
    return HistoryBuffer(list(values), [1] * len(values))


def content() -> dict:
    return dict(
        weight=torch.tensor([1.0, float("nan")]),
        optimizer=dict(state={0: dict(step=3)}, groups=[dict(lr=0.1)]),
        loss=history(1.0, 2.0),
        score=np.float64("nan"),
        names=("a", "b"),
    )


def test_the_same_is_the_same():
    assert list(resume_check.differences(content(), content())) == []


@pytest.mark.parametrize(
    "path, change",
    [
        (".weight", dict(weight=torch.tensor([1.0 + 1e-7, float("nan")]))),
        (".weight", dict(weight=torch.tensor([1.0, float("nan")]).double())),
        (".optimizer.state.0.step", dict(optimizer=dict(state={0: dict(step=4)}))),
        (".optimizer.groups", dict(optimizer=dict(state={0: dict(step=3)}))),
        (".loss[0]", dict(loss=history(1.0, 2.5))),
        (".loss[0]", dict(loss=history(1.0))),
        (".score", dict(score=np.float64(1))),
        (".names", dict(names=("a",))),
        (".more", dict(more=1)),
    ],
)
def test_any_difference_is_found_and_named(path, change):
    found = list(resume_check.differences(content(), dict(content(), **change)))
    assert any(line.startswith(f"{path}:") for line in found)


@pytest.mark.slow
@pytest.mark.parametrize("by_epoch", [True, False], ids=["epochs", "iterations"])
def test_a_run_survives_kills(tmp_path, coco, mpii, repo, by_epoch):
    cfg = run_config(
        tmp_path / "unused", coco, mpii, SSDA, dict(ratio=0.5), 3, num_workers=1
    )
    cfg.default_hooks.checkpoint.max_keep_ckpts = 1
    if not by_epoch:
        cfg.train_cfg = dict(
            type="ExactIterBasedTrainLoop", max_iters=8, val_interval=3
        )
        cfg.default_hooks.checkpoint.update(interval=2, by_epoch=False)
        cfg.log_processor = dict(by_epoch=False)
    config = tmp_path / "tiny.py"
    cfg.dump(config)
    command = [sys.executable, repo / "tools" / "kill_and_resume.py", config]
    command += ["--kills", "4", "--kills-per-run", "3"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    [kills] = re.findall(r"^(\d+) kills .* all ended the same", done.stdout, re.M)
    assert int(kills) >= 4


@pytest.mark.slow
def test_a_run_that_ends_otherwise_is_reported(tmp_path, coco, mpii, repo):
    """MMEngine's own loop, which knows nothing of all this, is the counterexample."""
    cfg = run_config(tmp_path / "unused", coco, mpii, SSDA, dict(ratio=0.5), 3)
    del cfg.train_dataloader["batch_sampler"]
    cfg.model.adaptations = {}
    cfg.custom_hooks = []
    cfg.train_dataloader.dataset.update(target=None, labeled_target=None)
    cfg.train_cfg.type = "EpochBasedTrainLoop"
    config = tmp_path / "tiny.py"
    cfg.dump(config)
    command = [sys.executable, repo / "tools" / "kill_and_resume.py", config]
    command += ["--kills", "20", "--kills-per-run", "4", "--work-dir", tmp_path / "w"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "differs from" in done.stdout and ".history.train/" in done.stdout
    assert Path(tmp_path / "w" / "through").is_dir()
