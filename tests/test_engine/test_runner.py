"""The log of ConciseLogRunner."""

import pytest
from mmpose.registry import RUNNERS
from tiny_run import UDA, run_config


@pytest.fixture
def run(tmp_path, coco, mpii):
    """Train for an epoch; return the lines of the log, and the other one."""
    cfg = run_config(tmp_path / "run", coco, mpii, UDA, max_epochs=1)
    cfg.runner_type = "ConciseLogRunner"
    cfg.load_from = None
    cfg.dump(tmp_path / "tiny.py")
    cfg = type(cfg).fromfile(tmp_path / "tiny.py")
    cfg.experiment_name = cfg.visualizer.name = "concise"
    RUNNERS.build(cfg).train()
    [log] = (tmp_path / "run").glob("*/*[0-9].log")
    return log.read_text().splitlines(), (log.parent / "setup.log").read_text()


def test_log_starts_with_what_matters(run, tmp_path):
    lines, setup = run
    messages = [line.partition(" - INFO - ")[2] for line in lines]
    start = next(i for i, text in enumerate(messages) if text.startswith("MMPose-DA "))
    assert start <= 1  # MMEngine's word on SyncBN may come first
    head = "\n".join(messages[start : start + 6])
    for words in (
        "PyTorch",
        "seed 0",
        str(tmp_path / "tiny.py"),
        "DomainAdaptiveTopdown: ResNet, HeatmapHead",
        "adaptations: cafa, ",
        "batches of 2 source, 2 target_unlabeled, for 1 epoch",
        "starts from the initial weights",
    ):
        assert words in head
    assert "Epoch(train)" in "\n".join(messages)  # later messages are all there

    text = "\n".join(messages)
    for words in (
        "Hooks will be executed",
        "System environment",
        "train_dataloader=",  # not formatted, see quick_mmengine.py
    ):
        assert words in setup and words not in text
    assert "train_dataloader=" in (tmp_path / "run" / "tiny.py").read_text()
