"""Runs in processes of their own: logs, results, resuming, failing, stopping."""

import json
import os
import subprocess
import sys
import threading
import time

import pytest
import torch
from mmengine.config import Config
from tiny_domains import edit_json
from tiny_model import build
from tiny_run import UDA, run_config

from mmpose_da.apis import stages
from mmpose_da.datasets import AnnotationError


@pytest.fixture
def iter_config(tmp_path, coco, mpii):
    """A small run of 4 iterations that saves every second one."""
    cfg = run_config(tmp_path / "unused", coco, mpii, UDA)
    cfg.train_cfg = dict(type="ExactIterBasedTrainLoop", max_iters=4, val_interval=4)
    cfg.default_hooks.checkpoint.update(interval=2, by_epoch=False)
    cfg.log_processor = dict(by_epoch=False)
    return cfg


def write_scalars(work_dir, part: str, lines: list[dict], tail: str = "") -> None:
    path = work_dir / part / "vis_data" / "scalars.json"
    path.parent.mkdir(parents=True)
    path.write_text("".join(f"{json.dumps(line)}\n" for line in lines) + tail)


def step(i: int, **kwargs) -> dict:
    return dict(lr=0.1, time=float(i), step=i, **kwargs)


#: Stands for the training process: writes what MMEngine would, or fails, or waits.
FAKE_TRAIN = """
import json, shutil, sys, time
from pathlib import Path
kind, config, work_dir = sys.argv[1:]
work_dir, content = Path(work_dir), Path(config).read_text()
print(*sys.argv[2:])
if 'fail = ' in content:
    sys.exit('so it failed')
while 'wait = ' in content:
    time.sleep(0.05)
(work_dir / 'part/vis_data').mkdir(parents=True)
lines = [dict(lr=0.1, time=1 + 9 * (i == 0), step=i + 1) for i in range(11)]
lines.append(dict({'PCK (2 joints)': 50.0}, time=1, data_time=1, step=11))
text = ''.join(json.dumps(line) + chr(10) for line in lines)
(work_dir / 'part/vis_data/scalars.json').write_text(text)
shutil.copy(Path(__file__).parent / 'any.pth', work_dir / 'iter_11.pth')
(work_dir / 'last_checkpoint').write_text('/moved/since/iter_11.pth')
"""


@pytest.fixture
def fake_train(tmp_path, monkeypatch):
    """A stage of a config with the given entries, in place of MMEngine's training."""
    script = tmp_path / "process" / "train.py"
    script.parent.mkdir()
    script.write_text(FAKE_TRAIN)
    content = dict(meta=dict(iter=11), optimizer=dict())
    torch.save(content, script.with_name("any.pth"))
    monkeypatch.setattr(stages, "COMMAND", (sys.executable, str(script)))
    monkeypatch.setattr(stages, "POLL_SECONDS", 0.02)

    def train(entries=(), **kwargs):
        cfg = dict(train_cfg=dict(max_iters=11), val_evaluator=dict(type="M"))
        cfg.update(entries)
        return stages.train_stage(Config(cfg), tmp_path / "run", **kwargs)

    return train


def test_lines_are_in_order_and_a_repetition_counts(tmp_path):
    first = [step(1), step(2, old=1), dict(PCK=1.0, step=2), step(3, old=1)]
    write_scalars(tmp_path, "20200101_000000", first, tail='{"lr": 0.1, "st')
    again = [step(2, new=1), step(3, new=1), dict(PCK=2.0, step=3)]
    write_scalars(tmp_path, "20200101_000100", again)
    assert stages.scalars(tmp_path) == [step(1), *again]
    assert stages.scalars(tmp_path / "nothing") == []


def test_the_config_is_read_as_it_was_written(tmp_path):
    content = dict(
        model=dict(size=(96, 96), names={0: "nose"}, text="a'\"\n", flag=None),
        train_pipeline=[dict(type="A", x=1e-5), dict(type="B", y=(1, (2,)))],
    )
    written = Config.fromfile(stages._write_config(Config(content), tmp_path))
    assert written.to_dict() == content
    with pytest.raises(ValueError, match="cannot be written"):
        stages._write_config(Config(dict(a=dict(x=torch.nn.ReLU))), tmp_path / "run")
    # Nothing is left that the next config would be compared with.
    stages._write_config(Config(dict(a=1)), tmp_path / "run")


def test_result_and_progress(fake_train, tmp_path):
    told = []
    result = fake_train(progress=lambda *args: told.append(args))
    assert result.metrics == {"PCK (2 joints)": 50.0}
    # By its name, wherever the folder was when it was written.
    assert result.checkpoint == tmp_path / "run" / "iter_11.pth"
    assert result.step_time == 1  # without the slow first steps
    assert result.peak_memory > 1
    assert told[0] == (0, 11) and told[-1] == (11, 11)


def test_a_finished_run_is_not_repeated(fake_train, tmp_path):
    result = fake_train()
    log = (tmp_path / "run" / "train.log").read_text()
    assert fake_train() == result
    assert (tmp_path / "run" / "train.log").read_text() == log


def test_another_config_is_an_error_that_names_what_differs(fake_train):
    fake_train()
    with pytest.raises(RuntimeError, match=r"run .*differ in randomness\); delete"):
        fake_train(dict(randomness=dict(seed=1)))


def test_a_variable_that_no_run_reads_makes_no_other_config(fake_train):
    result = fake_train(dict(policy=dict(initial=0.6)))
    assert fake_train(dict(policy=dict(initial=0.8), other=1)) == result


def test_a_failure_shows_the_end_of_the_log(fake_train, tmp_path):
    with pytest.raises(RuntimeError, match="exit code 1.*\n(.*\n)*so it failed"):
        fake_train(dict(fail=True))
    assert not (tmp_path / "run" / "result.json").exists()


def test_stop_ends_the_process_and_frees_the_folder(fake_train, tmp_path):
    stop, ended = threading.Event(), []

    def wait():
        with pytest.raises(stages.Interrupted):
            fake_train(dict(wait=True), stop=stop)
        ended.append(True)

    thread = threading.Thread(target=wait)
    thread.start()
    log, deadline = tmp_path / "run" / "train.log", time.monotonic() + 20
    while not (log.is_file() and log.read_text()) and time.monotonic() < deadline:
        time.sleep(0.02)
    with pytest.raises(RuntimeError, match="another run is writing to"):
        fake_train(dict(wait=True))
    stop.set()
    thread.join(timeout=20)
    assert ended
    with pytest.raises(stages.Interrupted):  # by `stop`, no more by the lock
        fake_train(dict(wait=True), stop=stop)


#: Runs a stage in a thread, as a benchmark does.
RUN_STAGE = """
import sys, threading
from pathlib import Path
from mmpose_da.apis import stages

def run(folder):
    with stages.locked(folder) as lock:
        stages._run(
            [*stages.COMMAND, "train", str(folder / "config.py"), str(folder)],
            log_path=folder / "train.log", threads=1, stop=None, lock=lock,
            report=lambda: None)

threading.Thread(target=run, args=(Path(sys.argv[1]),)).start()
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel of Linux does it")
def test_a_stage_ends_with_the_process_that_waits_for_it(repo, tmp_path):
    # The config is read by the process of the stage, which then hangs.
    (tmp_path / "config.py").write_text(
        f"__import__('pathlib').Path({str(tmp_path / 'reached')!r}).touch()\n"
        "__import__('time').sleep(300)\n"
    )
    environment = dict(os.environ, PYTHONPATH=str(repo))
    command = [sys.executable, "-c", RUN_STAGE, str(tmp_path)]
    with subprocess.Popen(command, env=environment) as process:
        deadline = time.monotonic() + 120
        while not (tmp_path / "reached").exists() and time.monotonic() < deadline:
            assert process.poll() is None
            time.sleep(0.05)
        assert _in_use(tmp_path)
        process.kill()
    deadline = time.monotonic() + 20
    while _in_use(tmp_path):
        assert time.monotonic() < deadline, "the stage lives on"
        time.sleep(0.05)


def _in_use(folder) -> bool:
    try:
        with stages.locked(folder):
            return False
    except RuntimeError:
        return True


#: Stands for the labeling process.
FAKE_LABEL = """
import sys
import numpy as np
from mmengine.config import Config
from mmpose_da.datasets import PseudoLabels
from mmpose_da.datasets.mixed_domain_dataset import target_hash
from mmpose_da.datasets.pseudo_labels import checkpoint_hash
_, config, out = sys.argv[1:]
cfg = Config.fromfile(config)
hashes = dict(
    people=target_hash(cfg.train_dataloader.dataset.target),
    checkpoint=checkpoint_hash(cfg.load_from),
)
zeros = np.zeros((1, 1, 2))
PseudoLabels(("nose",), (1,), zeros, zeros[..., 0], zeros[:, 0, 0], hashes).save(out)
"""


def test_labels_by_a_retrained_model_are_not_done(coco, tmp_path, monkeypatch):
    coco.pop("joint_map")
    script, checkpoint = tmp_path / "label.py", tmp_path / "any.pth"
    script.write_text(FAKE_LABEL)
    checkpoint.write_bytes(b"weights")
    monkeypatch.setattr(stages, "COMMAND", (sys.executable, str(script)))
    cfg = Config(dict(train_dataloader=dict(dataset=dict(target=coco))))

    def label():
        return stages.label_stage(cfg, checkpoint, tmp_path / "label")

    written = label().made_from
    out = tmp_path / "label" / "pseudo.json"
    before = out.stat().st_mtime_ns
    assert label().made_from == written and out.stat().st_mtime_ns == before
    checkpoint.write_bytes(b"other weights")
    with pytest.raises(
        AnnotationError, match=r"pseudo\.json' .*another model.* delete"
    ):
        label()
    checkpoint.write_bytes(b"weights")
    edit_json(coco["ann_file"], lambda content: content.update(info=dict(year=1)))
    with pytest.raises(AnnotationError, match="of another annotation file .* delete"):
        label()
    edit_json(out, lambda content: content.pop("made_from"))
    assert label().made_from == {}  # a file without hashes is not checked


@pytest.mark.slow
def test_interrupted_runs_go_on_from_their_checkpoint(iter_config, tmp_path):
    # Stopped after its first checkpoint: `load_from` counts for the first part alone.
    start = tmp_path / "start.pth"
    torch.save(dict(state_dict=build().state_dict()), start)
    iter_config.load_from = str(start)
    iter_config.train_cfg.max_iters = 6
    iter_config.train_cfg.val_interval = 6
    run, stop = tmp_path / "run", threading.Event()

    def stop_after_checkpoint(done: int, total: int) -> None:
        assert total == 6
        if (run / "last_checkpoint").is_file():
            stop.set()

    with pytest.raises(stages.Interrupted):
        stages.train_stage(
            iter_config, run, threads=1, progress=stop_after_checkpoint, stop=stop
        )
    assert f"Load checkpoint from {start}" in (run / "train.log").read_text()
    parts = len(list(run.glob("*/vis_data")))
    result = stages.train_stage(iter_config, run, threads=1)
    assert "resumed epoch: 0, iter: " in (run / "train.log").read_text()
    assert len(list(run.glob("*/vis_data"))) == parts + 1
    steps = [line["step"] for line in stages.scalars(run) if "lr" in line]
    assert steps == [1, 2, 3, 4, 5, 6]
    assert result.checkpoint.name == "iter_6.pth"
    assert "PCKh@0.5 (12 joints)" in result.metrics and "time" not in result.metrics

    # Killed between the last checkpoint and its validation: that is made up for.
    (run / "result.json").unlink()
    for path in run.glob("*/vis_data/scalars.json"):
        lines = path.read_text().splitlines(keepends=True)
        path.write_text("".join(line for line in lines if '"lr"' in line))
    again = stages.train_stage(iter_config, run, threads=1)
    assert again.metrics == pytest.approx(result.metrics)
