"""Checkpoints are complete, however their writing is interrupted."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from mmengine.hooks import Hook
from mmengine.runner import Runner
from tiny_run import UDA, run_config

from mmpose_da.engine import find_checkpoint


@pytest.fixture
def cfg(tmp_path, coco, mpii):
    cfg = run_config(tmp_path / "run", coco, mpii, UDA, max_epochs=4)
    cfg.val_cfg = cfg.val_dataloader = cfg.val_evaluator = None
    return cfg


class Saves(Hook):
    """Which checkpoints there are before each one is written."""

    def __init__(self) -> None:
        self.there = []

    def before_save_checkpoint(self, runner, checkpoint):
        self.there.append(sorted(p.name for p in Path(runner.work_dir).glob("*.pth")))


def test_the_old_checkpoint_is_removed_after_the_new_one_is_written(cfg):
    cfg.default_hooks.checkpoint.max_keep_ckpts = 1
    runner, saves = Runner.from_cfg(cfg), Saves()
    runner.register_hook(saves)
    runner.train()
    assert saves.there == [[], ["epoch_1.pth"], ["epoch_2.pth"], ["epoch_3.pth"]]
    assert [p.name for p in Path(cfg.work_dir).glob("*.pth")] == ["epoch_4.pth"]
    assert find_checkpoint(cfg.work_dir) == str(Path(cfg.work_dir, "epoch_4.pth"))


def test_what_a_kill_left_over_is_removed_by_the_resumed_run(cfg, tmp_path):
    cfg.default_hooks.checkpoint.max_keep_ckpts = 2
    cfg.train_cfg.max_epochs = 3
    Runner.from_cfg(cfg).train()
    work_dir = Path(cfg.work_dir)
    # As if killed between writing the third and removing the first.
    (work_dir / "epoch_1.pth").write_bytes((work_dir / "epoch_2.pth").read_bytes())
    cfg.update(resume=True, load_from=find_checkpoint(work_dir), experiment_name="on")
    cfg.train_cfg.max_epochs = 4
    Runner.from_cfg(cfg).train()
    left = sorted(path.name for path in work_dir.glob("*.pth"))
    assert left == ["epoch_3.pth", "epoch_4.pth"]


FULL_DISK = """
import resource, signal, sys
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
sys.argv[1:1] = []
import train
from mmengine.hooks import Hook
from mmpose.registry import HOOKS

@HOOKS.register_module()
class FillDisk(Hook):
    def before_save_checkpoint(self, runner, checkpoint):
        if runner.epoch == 2:
            limits = resource.getrlimit(resource.RLIMIT_FSIZE)
            resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, limits[1]))

train.main()
"""


@pytest.mark.slow
def test_a_full_disk_ends_the_run_with_the_last_checkpoint_intact(cfg, repo):
    config, work_dir = Path(cfg.work_dir).parent / "tiny.py", Path(cfg.work_dir)
    cfg.custom_hooks.append(dict(type="FillDisk"))
    cfg.dump(config)
    done = subprocess.run(
        [sys.executable, "-c", FULL_DISK, str(config)],
        env=dict(os.environ, PYTHONPATH=f"{repo / 'tools'}:{repo}"),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert "epoch_3.pth" in done.stderr.splitlines()[-1]
    assert find_checkpoint(work_dir) == str(work_dir / "epoch_2.pth")
    assert not list(work_dir.glob(".*.tmp"))
    torch.load(work_dir / "epoch_2.pth")
