"""The demo."""

import os
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from rich.console import Console
from tiny_domains import COCO_MIDPOINTS

from mmpose_da.apis import demo

METRIC = "PCKh@0.5 (12 joints)"
LIMBS = {
    f"{side}_{part}"
    for side in ("left", "right")
    for part in ("shoulder", "elbow", "wrist", "hip", "knee", "ankle")
}


CONFIGS = Path(__file__).parents[2] / "configs/da"
SOURCE_CONFIG = CONFIGS / demo.SOURCE_CONFIG
ADAPTED_CONFIG = CONFIGS / demo.ADAPTED_CONFIG


def shown(renderable) -> list[str]:
    console = Console(width=200)
    with console.capture() as capture:
        console.print(renderable)
    return [" ".join(line.split()) for line in capture.get().splitlines()]


def test_options_change_the_length_the_seed_and_the_start_alone():
    stock = demo.make_config(ADAPTED_CONFIG, seed=0)
    short = demo.make_config(ADAPTED_CONFIG, 3, iters=10, load_from="a.pth")
    assert stock.load_from is None and short.load_from == "a.pth"
    assert stock.randomness.seed == 0 and short.randomness.seed == 3
    assert short.train_cfg.max_iters == 10 and short.train_cfg.val_interval == 3
    assert stock.train_cfg.max_iters > 100
    for key in ("model", "train_dataloader", "optim_wrapper", "param_scheduler"):
        assert stock[key] == short[key]


@pytest.mark.parametrize("iters", [1, 2, 10, 1501])
def test_what_is_drawn_is_logged(iters):
    cfg = demo.make_config(SOURCE_CONFIG, seed=0, iters=iters)
    hooks = cfg.default_hooks
    assert 1 <= hooks.logger.interval <= iters
    validations = -(-iters // cfg.train_cfg.val_interval)  # the last iteration, too
    assert validations == min(iters, demo.VALIDATIONS)
    assert hooks.checkpoint.interval == cfg.train_cfg.val_interval


def test_one_model_knows_no_target_and_the_other_no_label_of_it():
    source = demo.make_config(SOURCE_CONFIG, seed=0).train_dataloader.dataset
    adapted = demo.make_config(ADAPTED_CONFIG, seed=0).train_dataloader.dataset
    assert source.get("target") is None and adapted.target is not None
    assert adapted.get("labeled_target") is None


def test_each_model_of_a_picture_is_built_from_its_own_config(monkeypatch):
    """The source model in the adapted config would be an untrained teacher."""
    built, drawn = {}, {}

    def init_model(cfg, checkpoint, device):
        built[checkpoint] = cfg
        return checkpoint

    monkeypatch.setattr(demo, "init_model", init_model)
    monkeypatch.setattr(demo.DATASETS, "build", lambda cfg: cfg)
    monkeypatch.setattr(demo, "extract_features", lambda *args: None)
    monkeypatch.setattr(demo, "plot_feature_embedding", lambda *args: None)
    monkeypatch.setattr(
        demo, "draw_paired_predictions", lambda models, *args: drawn.update(models)
    )
    files = {demo.BEFORE: SOURCE_CONFIG, demo.AFTER: ADAPTED_CONFIG}
    configs = {name: demo.make_config(path, seed=0) for name, path in files.items()}
    results = {name: demo.Result({}, Path(f"{name}.pth"), 1.0, 1.0) for name in configs}
    demo.draw_models(configs, results, Path())
    assert drawn == {name: f"{name}.pth" for name in configs}
    assert built["source model.pth"].model == configs[demo.BEFORE].model
    assert built["adapted.pth"].model == configs[demo.AFTER].model
    assert built["adapted.pth"].model.test_cfg.network == "teacher"
    assert "network" not in built["source model.pth"].model.test_cfg


def test_joints_are_drawn_that_the_source_can_teach():
    cfg = demo.make_config(SOURCE_CONFIG, seed=0)
    assert demo.taught_joints(cfg) == LIMBS | set(COCO_MIDPOINTS)
    del cfg.source["joint_map"]
    assert demo.taught_joints(cfg) == LIMBS


def test_table_has_the_parts_and_then_the_mean():
    before = {"Knee PCK": 40.0, "Hip PCK": 50.0, METRIC: 45.0}
    before["PCKh@0.1 (12 joints)"] = 5.0
    after = {name: 1.5 * value for name, value in before.items()}
    lines = shown(demo.results_table(before, after, METRIC))
    assert METRIC in lines[0]
    rows = [line.strip("│ ").split(" │ ") for line in lines if line.startswith("│")]
    assert rows == [
        ["Knee", "40.0", "60.0", "+20.0"],
        ["Hip", "50.0", "75.0", "+25.0"],
        ["mean", "45.0", "67.5", "+22.5"],
    ]


@pytest.mark.parametrize(
    "after, words",
    [
        (45.5, "finds 45.5 %, 5.5 points more."),
        (40.4, "adaptation did not help"),
        (39.6, "adaptation did not help"),
        (30.0, "finds 30.0 %, 10.0 points less: adaptation did harm"),
    ],
)
def test_conclusion_says_what_the_figures_do(after, words):
    text = demo.conclusion(40.0, after, 500)
    assert words in text and "finds 40.0 %" in text and "500 iterations" in text
    assert sum(verdict in text for verdict in ("points more", "not help", "harm")) == 1


@pytest.mark.parametrize("cores, threads", [(1, 1), (2, 1), (8, 7), (None, 1)])
def test_a_core_is_left_to_the_loader(monkeypatch, cores, threads):
    monkeypatch.setattr(os, "cpu_count", lambda: cores)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    assert demo.training_threads() == threads
    monkeypatch.setenv("OMP_NUM_THREADS", "5")
    assert demo.training_threads() is None


def test_errors_and_interruptions_end_without_a_traceback(
    load_tool, monkeypatch, capsys
):
    tool = load_tool("demo")

    def fail(error):
        monkeypatch.setattr(demo, "run_demo", lambda *args, **kwargs: _raise(error))
        with pytest.raises(SystemExit) as exit:
            tool.main([])
        return exit.value.code

    assert fail(RuntimeError("the folder is in use")) == "demo.py: the folder is in use"
    assert fail(KeyboardInterrupt()) == 130
    assert "resumes from here" in capsys.readouterr().out
    with pytest.raises(SystemExit) as exit:
        tool.main(["--iters", "0"])
    assert exit.value.code == 2 and "positive integer" in capsys.readouterr().err


def _raise(error):
    raise error


def test_next_commands_name_files_that_exist(repo, tmp_path):
    class Adapted:
        checkpoint = tmp_path / "iter_1.pth"

    text = demo.closing(tmp_path, Adapted)
    files = [word for word in text.split() if word.startswith(("configs/", "tools/"))]
    assert len(files) == 6 and all((repo / name).is_file() for name in files)
    heading = text.rpartition('README.md, "')[2].rstrip('"')
    assert f"## {heading}\n" in (repo / "README.md").read_text()


@pytest.mark.slow
def test_the_whole_demo_and_again_without_training(tmp_path, repo):
    data = tmp_path / "data"
    environment = dict(os.environ, OMP_NUM_THREADS="1")

    def run(script, *args):
        command = [sys.executable, str(repo / "tools" / script), *map(str, args)]
        done = subprocess.run(
            command, capture_output=True, text=True, cwd=tmp_path, env=environment
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    counts = ["--studio", "train=64", "--street", "train=64", "val=16"]
    run("render_domains.py", "--out", data / "synthetic", *counts, "--workers", 0)
    demo = ("demo.py", "--data-root", data, "--work-dir", "demo", "--iters", 4)
    told = run(*demo)
    assert METRIC in told and "one seed" in told
    pictures = ("predictions.jpg", "curves.png", "features.png")
    for name in pictures:
        assert f"demo/{name}" in told
        assert np.std(cv2.imread(str(tmp_path / "demo" / name))) > 0

    checkpoints = sorted((tmp_path / "demo").rglob("*.pth"))
    assert {path.parent.name for path in checkpoints} == {"source", "adapted"}
    times = [path.stat().st_mtime_ns for path in checkpoints]
    again = run(*demo)
    assert times == [path.stat().st_mtime_ns for path in checkpoints]
    table = [line for line in told.splitlines() if line.startswith("│")]
    assert table and all(line in again for line in table)
