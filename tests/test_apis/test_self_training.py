"""Rounds of labeling, ranking, and training."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config
from tiny_domains_3d import pose3d_config, write_pose3d
from tiny_run import run_config_3d

from mmpose_da.apis import self_training
from mmpose_da.apis.self_training import SelfTraining, self_train
from mmpose_da.apis.stages import Result
from mmpose_da.datasets import PseudoLabels


def test_share_grows_up_to_the_maximum():
    policy = SelfTraining(rounds=12, initial=0.6, step=0.05, maximum=0.99)
    shares = [policy.share(i) for i in range(12)]
    assert shares[:3] == pytest.approx([0.6, 0.65, 0.7])
    assert shares[-1] == 0.99 and shares == sorted(shares)
    assert SelfTraining(rounds=2, initial=0.8, step=0).share(1) == 0.8


@pytest.mark.parametrize(
    "settings, message",
    [
        (None, "has no `self_training"),
        (dict(rounds=0), "rounds must be >= 1"),
        (dict(rounds=2, initial=0), "initial and maximum in"),
        (dict(rounds=2, initial=1.1), "initial and maximum in .*1.1, 0.99, and"),
        (dict(rounds=2, maximum=1.2), "initial and maximum in .*0.6, 1.2, and"),
        (dict(rounds=2, maximum=0), "initial and maximum in"),
        (dict(rounds=2, step=-0.1), "step >= 0, but has .* and -0.1"),
        (dict(rounds=2, policy="fast"), "unexpected keyword argument 'policy'"),
        (dict(initial=0.5), "missing 1 required"),
    ],
)
def test_wrong_settings(settings, message):
    with pytest.raises(ValueError, match=message):
        SelfTraining.of(Config(dict(self_training=settings)))


@pytest.fixture
def stages(monkeypatch, tmp_path):
    """Instead of processes: note what each stage is given."""
    calls = []

    def label_stage(cfg, checkpoint, work_dir, *, threads, stop):
        calls.append(("label", cfg, str(checkpoint), Path(work_dir)))
        count = round(100 * cfg.pseudo_labeling.share)
        scores = np.linspace(1, 1 - cfg.pseudo_labeling.share, count)
        nothing = np.zeros((count, 1, 2))
        labels = PseudoLabels(
            ("root",), tuple(range(count)), nothing, nothing[..., 0], scores
        )
        return replace(labels, dropped=labels) if count < 90 else labels

    def train_stage(cfg, work_dir, *, threads, progress, stop):
        calls.append(("train", cfg, str(cfg.load_from), Path(work_dir)))
        progress(5, 10)
        number = len(calls) // 2
        return Result(dict(MPJPE=100.0 - number), tmp_path / f"{number}.pth", number, 9)

    monkeypatch.setattr(self_training, "label_stage", label_stage)
    monkeypatch.setattr(self_training, "train_stage", train_stage)
    return calls


@pytest.fixture
def cfg(tmp_path):
    (tmp_path / "source.pth").touch()
    return Config(
        dict(
            load_from=str(tmp_path / "source.pth"),
            self_training=dict(
                rounds=3, initial=0.5, step=0.2, labeling=dict(score="peak")
            ),
            train_dataloader=dict(dataset=dict(type="MixedDomainDataset")),
        )
    )


def test_each_round_labels_with_the_model_of_the_one_before(stages, cfg, tmp_path):
    told, done = [], []
    result = self_train(
        cfg,
        tmp_path / "work",
        progress=lambda *args: told.append(args),
        report=lambda *args: done.append(args),
    )
    assert [kind for kind, *_ in stages] == ["label", "train"] * 3
    starts = [Path(start).name for _, _, start, _ in stages]
    assert starts == ["source.pth"] * 2 + ["1.pth"] * 2 + ["2.pth"] * 2
    for index in range(3):
        (_, labeling, _, folder), (_, training, _, place) = stages[2 * index :][:2]
        rest = dict(labeling.pseudo_labeling)
        assert rest.pop("seed") >= 0
        assert rest == dict(score="peak", share=0.5 + 0.2 * index)
        pseudo = training.train_dataloader.dataset.pseudo_target
        assert pseudo == dict(ann_file=str(folder / "pseudo.json"), threshold=0.0)
        assert folder.parent == place.parent == tmp_path / f"work/round_0{index + 1}"
        assert "self_training" not in training and "self_training" not in labeling
    assert told == [(5, 30), (15, 30), (25, 30)]
    assert result == Result(dict(MPJPE=97.0), tmp_path / "3.pth", 2, 9)
    history = json.loads((tmp_path / "work/rounds.json").read_text())
    assert [one["people"] for one in history] == [50, 70, 90]
    assert [one["dropped"] for one in history] == [50, 70, 0]
    assert [number for number, _ in done] == [1, 2, 3]
    assert done[0][1].lowest_score == pytest.approx(0.5)


def test_views_differ_by_round_and_seed_and_not_by_run(stages, cfg, tmp_path):
    def seeds(**kwargs) -> list[int]:
        stages.clear()
        changed = Config(dict(cfg.to_dict(), **kwargs))
        self_train(changed, tmp_path / "work", progress=lambda *args: None)
        return [one.pseudo_labeling.seed for kind, one, *_ in stages if kind == "label"]

    first, second = (seeds(randomness=dict(seed=seed)) for seed in (1, 2))
    assert len({*first, *second}) == 6
    assert seeds(randomness=dict(seed=1)) == first
    assert seeds() == seeds(randomness=dict(seed=None)) == seeds(randomness=None)
    cfg.self_training.labeling.seed = 7
    assert seeds(randomness=dict(seed=1)) == [7, 7, 7]


def test_a_model_for_the_first_labels_is_needed(stages, cfg, tmp_path):
    cfg.load_from = None
    with pytest.raises(ValueError, match="load_from=None is not a checkpoint"):
        self_train(cfg, tmp_path)
    assert not stages


@pytest.mark.slow
def test_killed_and_run_again_it_has_the_same_end(tmp_path, repo):
    """The whole of it in 3D, with domain feature alignment, in real processes."""
    for name, count in (("source", 6), ("target", 8)):
        write_pose3d(tmp_path / name, count, seed=len(name))
    source, target = (pose3d_config(tmp_path / n) for n in ("source", "target"))
    counts = dict(source=2, target_pseudo=2, target_unlabeled=0)
    cfg = run_config_3d(tmp_path / "unused", source, target, counts, max_epochs=1)
    cfg.self_training = dict(
        rounds=2,
        initial=0.5,
        step=0.25,
        labeling=dict(views=[dict(type="RandomView", flip_prob=1.0)]),
    )
    from mmpose.registry import MODELS

    torch.manual_seed(0)
    model = MODELS.build(cfg.model)
    model.init_weights()
    torch.save(dict(state_dict=model.state_dict()), tmp_path / "source.pth")
    cfg.load_from = str(tmp_path / "source.pth")
    cfg.pop("work_dir")
    cfg.dump(tmp_path / "tiny.py")

    def run(name: str, seconds: float | None = None) -> str:
        command = [sys.executable, str(repo / "tools/self_train.py"), "tiny.py"]
        process = subprocess.Popen(
            [*command, "--work-dir", name, "--threads", "1"],
            cwd=tmp_path,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        try:
            out, _ = process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            return ""
        assert process.returncode == 0, out
        return out

    out = run("through")
    assert "round 2 of 2: 6 people (75%)" in out and "MPJPE" in out
    for seconds in (14, 30):
        run("killed", seconds)
    run("killed")
    outcomes = []
    for name in ("through", "killed"):
        folder = tmp_path / name / "round_02"
        weights = torch.load(folder / "train" / "epoch_1.pth")["state_dict"]
        labels = json.loads((folder / "label" / "pseudo.json").read_text())
        labels["made_from"].pop("checkpoint")  # whose file has times in its log
        outcomes.append((labels, weights))
    (labels, weights), (again, other) = outcomes
    assert labels == again
    assert all(torch.equal(weights[key], other[key]) for key in weights)
