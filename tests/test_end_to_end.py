"""The whole job on small data: train, save, evaluate, resume, test, publish."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.runner import Runner
from mmpose.registry import MODELS
from tiny_model import model_config
from tiny_run import SSDA, run_config


def train(cfg) -> dict[str, torch.Tensor]:
    cfg.experiment_name = Path(cfg.work_dir).name
    runner = Runner.from_cfg(cfg)
    runner.train()
    return {k: v.clone() for k, v in runner.model.state_dict().items()}


def log_of(work_dir: Path) -> list[dict]:
    path = max(work_dir.glob("*/vis_data/scalars.json"))
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_terms_are_logged_by_name_and_ramped(tmp_path, coco, mpii):
    train(run_config(tmp_path / "run", coco, mpii, SSDA, dict(ratio=0.5)))
    log = log_of(tmp_path / "run")
    steps = [entry for entry in log if "loss" in entry]
    assert len(steps) == 6  # 6 source people, 2 in a batch, 2 epochs
    terms = {
        *("source.loss_kpt", "target_labeled.loss_kpt", "cafa.loss", "isa.loss"),
        *("ihta.loss_align", "ihta.loss_readout", "entropy.loss"),
        "mean_teacher.loss",
    }
    for entry in steps:
        assert terms | {"ihta.positive_share", "ihta.spread"} <= set(entry)
        assert all(np.isfinite(entry[term]) for term in terms)
    assert steps[0]["entropy.loss"] == 0 and steps[-1]["entropy.loss"] > 0
    metrics = [entry for entry in log if "PCKh@0.5 (12 joints)" in entry]
    assert len(metrics) == 2


@pytest.mark.slow
def test_tools_train_resume_test_and_publish(tmp_path, coco, mpii, repo):
    def tool(script, *args):
        command = [sys.executable, str(repo / "tools" / script), *map(str, args)]
        done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr

    work_dir, config = tmp_path / "work", tmp_path / "tiny.py"
    run_config(work_dir, coco, mpii, SSDA, dict(ratio=0.5), num_workers=1).dump(config)
    tool("train.py", config, "--cfg-options", "train_cfg.max_epochs=1")
    assert (work_dir / "epoch_1.pth").is_file()
    output = tool("train.py", config, "--resume")
    assert "resumed epoch: 1, iter: 3" in output
    assert "Epoch(train) [1]" not in output and "Epoch(train) [2]" in output

    adapted = work_dir / "epoch_2.pth"
    metrics, drawn = tmp_path / "metrics.json", tmp_path / "drawn"
    tool("test.py", config, adapted, "--out", metrics, "--show-dir", drawn)
    expected = log_of(work_dir)[-1]["PCKh@0.5 (12 joints)"]
    tested = json.loads(metrics.read_text())["PCKh@0.5 (12 joints)"]
    assert tested == pytest.approx(expected)
    assert len(list(drawn.iterdir())) == 10

    stock = MODELS.build(model_config(type="TopdownPoseEstimator"))
    for network in ("student", "teacher"):
        target = tmp_path / f"{network}.pth"
        tool("publish_model.py", config, adapted, target, "--network", network)
        stock.load_state_dict(torch.load(target)["state_dict"], strict=True)
