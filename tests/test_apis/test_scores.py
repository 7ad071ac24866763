import json

import numpy as np
import pytest
from tiny_run import UDA, run_config

from mmpose_da.apis import scores
from mmpose_da.apis.scores import (
    PREFIX,
    harm_warning,
    quiet_score,
    read_scores,
    score,
    score_benchmark,
    score_quality,
    write_scores,
)

METRIC = "PCKh@0.5 (12 joints)"


def line(seed, row, iterations, metric, **scores):
    found = {PREFIX + name: str(value) for name, value in scores.items()}
    names = dict(seed=f"seed_{seed}", row=row, checkpoint=f"iter_{iterations}")
    return dict(names, **{METRIC: str(metric)}, **found)


def test_quality_of_a_perfect_and_a_reversed_score():
    lines = [
        line(0, "start", 10, 40, good=1, bad=9),
        line(0, "start", 20, 50, good=2, bad=8),  # the last one counts
        line(0, "a", 20, 45, good=1.5, bad=8.5),
        line(0, "b", 20, 60, good=4, bad=3),
        line(1, "start", 20, 50, good=5, bad=5),
        line(1, "a", 20, 70, good=8, bad=1),
    ]
    good, bad = score_quality(lines, METRIC, "start")
    assert (good.name, bad.name) == ("good", "bad")
    assert good.correlation == pytest.approx(1) and bad.correlation == pytest.approx(-1)
    assert good.regret == 0 and bad.regret == pytest.approx((20 + 20) / 2)
    assert good.found_harm == 1 and good.false_alarms == 0
    assert bad.found_harm == 0 and bad.false_alarms == 1


def test_quality_equals_slow_computation():
    rng = np.random.default_rng(0)
    rows = ["start", *"abcdef"]
    table = rng.normal(size=(3, len(rows), 2))  # seeds, rows, metric and score
    lines = [
        line(seed, row, 20, metric, mine=score)
        for seed, models in enumerate(table)
        for row, (metric, score) in zip(rows, models, strict=True)
    ]
    [found] = score_quality(lines, METRIC, "start")
    correlations, regrets, harms, alarms = [], [], [], []
    for models in table:
        ranks = models.argsort(0).argsort(0)
        correlations.append(np.corrcoef(ranks.T)[0, 1])
        regrets.append(models[:, 0].max() - models[models[:, 1].argmax(), 0])
        for metric, score_ in models[1:]:
            (harms if metric < models[0, 0] else alarms).append(score_ < models[0, 1])
    assert found.correlation == pytest.approx(np.mean(correlations))
    assert found.regret == pytest.approx(np.mean(regrets))
    assert found.found_harm == pytest.approx(np.mean(harms))
    assert found.false_alarms == pytest.approx(np.mean(alarms))


def test_a_score_that_some_models_lack():
    lines = [
        line(0, "start", 20, 50, all=1),
        line(0, "a", 20, 60, all=2, teacher=3),
        line(0, "b", 20, 40, all=0, teacher=5),
    ]
    of_all, teacher = score_quality(lines, METRIC, "start")
    assert of_all.correlation == pytest.approx(1)
    assert teacher.correlation == pytest.approx(-1) and teacher.regret == 20
    assert np.isnan(teacher.found_harm) and np.isnan(teacher.false_alarms)


def test_start_must_be_there():
    with pytest.raises(ValueError, match="seed_0 has no row 'start'"):
        score_quality([line(0, "a", 20, 60, mine=2)], METRIC, "start")


def test_files(tmp_path):
    lines = [line(0, "a", 20, 50, one=1), line(0, "b", 20, 60, two=2)]
    write_scores(tmp_path / "new/scores.csv", lines)
    first, second = read_scores(tmp_path / "new/scores.csv")
    assert first == dict(lines[0], **{PREFIX + "two": ""})
    assert second[PREFIX + "two"] == "2"


@pytest.fixture
def trained(coco, mpii, tmp_path):
    """What a benchmark leaves: runs by seed and row."""
    from mmpose_da.apis import train

    for row in ("start", "uda"):
        folder = tmp_path / "bench/seed_0" / row
        cfg = run_config(folder, coco, mpii, UDA)
        cfg.default_hooks = dict(
            checkpoint=dict(type="CheckpointHook", by_epoch=False, interval=4)
        )
        cfg.randomness = dict(seed=len(row))
        cfg.test_dataloader, cfg.test_cfg = cfg.val_dataloader, dict()
        cfg.test_evaluator = cfg.val_evaluator
        train(cfg)
        (folder / "input").mkdir()
        cfg.dump(folder / "input/config.py")
        (folder / "result.json").write_text(json.dumps(dict()))
    return tmp_path / "bench"


def test_checkpoints_are_scored_once(trained, monkeypatch):
    path = trained / "scores.csv"
    lines = list(score_benchmark(trained, METRIC, path))
    assert {line["row"] for line in lines} == {"start", "uda"}
    assert len(lines) == len(list(trained.glob("seed_0/*/iter_*.pth"))) > 2
    assert all(PREFIX + "consistency" in line for line in lines)
    for name in ("plausibility", "confusion"):
        assert all(PREFIX + name in line for line in lines)
    assert read_scores(path) == lines
    monkeypatch.setattr("mmpose_da.apis.scores.score", None)
    assert list(score_benchmark(trained, METRIC, path)) == lines
    assert score_quality(lines, METRIC, "start")


def test_errors(trained, tmp_path):
    with pytest.raises(ValueError, match="there is no metric 'AP'; the metrics are"):
        list(score_benchmark(trained, "AP", tmp_path / "x.csv"))
    with pytest.raises(ValueError, match="has no finished runs"):
        list(score_benchmark(tmp_path / "none", METRIC, tmp_path / "x.csv"))


def test_a_checkpoint_without_weights_of_the_model(trained, tmp_path):
    from mmengine.config import Config

    run = trained / "seed_0/uda"
    cfg = Config.fromfile(run / "input/config.py")
    cfg.model.head.out_channels = 5
    checkpoint = next(run.glob("iter_*.pth"))
    with pytest.raises((ValueError, RuntimeError)):
        score(cfg, checkpoint, tmp_path / "log")


def test_scores_without_a_validation_set_are_the_same(
    coco, mpii, tmp_path, monkeypatch
):
    """The same people, whose labels are read or not."""
    from mmpose_da.apis import train

    monkeypatch.setattr(scores, "BATCH_SIZE", 4)
    cfg = run_config(tmp_path / "run", coco, mpii, UDA, max_epochs=1)
    train(cfg)
    checkpoint = next((tmp_path / "run").glob("epoch_*.pth"))
    labeled = score(cfg, checkpoint, tmp_path / "log")
    assert METRIC in labeled
    cfg.val_pipeline = cfg.val_dataloader.dataset.pipeline
    for part in ("val", "test"):
        for key in ("dataloader", "evaluator", "cfg"):
            cfg.pop(f"{part}_{key}")
    found = quiet_score(cfg, checkpoint, tmp_path / "log")
    assert found == {
        name: pytest.approx(value)
        for name, value in labeled.items()
        if name.startswith(PREFIX)
    }
    monkeypatch.setattr(scores, "PEOPLE", 3)
    fewer = quiet_score(cfg, checkpoint, tmp_path / "log", "student")
    assert fewer.keys() == found.keys() and fewer != found
    cfg.train_dataloader.dataset.target = None
    with pytest.raises(ValueError, match="the run has no target"):
        quiet_score(cfg, checkpoint, tmp_path / "log")


def test_warning_of_harm():
    name = PREFIX + scores.WARNING_SCORE
    warning = harm_warning({name: 60.0}, {name: 55.5})
    assert "may have done harm" in warning and "from 60.0 to 55.5" in warning
    assert harm_warning({name: 60.0}, {name: 60.0}) is None
    assert harm_warning({name: 60.0}, {}) is None and harm_warning({}, {}) is None
