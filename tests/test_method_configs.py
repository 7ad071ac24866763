"""Every method, with its config for the embedded pair, killed and resumed."""

import subprocess
import sys
from pathlib import Path

import pytest
from killed_run import Kill, Runs
from mmengine.config import Config

CONFIGS = sorted(Path(__file__).parents[1].glob("configs/da/studio2street_res18*.py"))


@pytest.fixture(scope="module")
def rendered(repo, tmp_path_factory):
    """A few people of both domains; the folder that MMPOSE_DA_DATA names."""
    folder = tmp_path_factory.mktemp("data")
    tool, out = repo / "tools" / "render_domains.py", folder / "synthetic"
    counts = ["--studio", "train=40", "--street", "train=100", "val=8"]
    command = [sys.executable, tool, "--out", out, *counts, "--workers", "0"]
    subprocess.run(command, check=True, capture_output=True)
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_a_killed_run_ends_as_one_that_was_not(
    path, rendered, tmp_path, monkeypatch, compare
):
    monkeypatch.setenv("MMPOSE_DA_DATA", str(rendered))
    cfg = Config.fromfile(path)
    cfg.update(load_from=None, randomness=dict(seed=0))
    cfg.train_cfg.update(max_iters=4, val_interval=2)
    cfg.default_hooks.checkpoint.interval = 2
    runs = Runs(cfg)
    runs(tmp_path / "through")
    runs(tmp_path / "killed", Kill(iterations=3))
    runs(tmp_path / "killed")
    assert compare(tmp_path / "through", tmp_path / "killed") == []
