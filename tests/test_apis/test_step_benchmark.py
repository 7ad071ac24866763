"""The time of a training step against what it is made of."""

import itertools

import pytest
import torch
from mmpose.registry import DATASETS
from tiny_run import SSDA, UDA, run_config

from mmpose_da.apis import step_benchmark as bench

MISSING_WEIGHTS = dict(type="Pretrained", checkpoint="nowhere.pth")
MEAN_TEACHER = dict(
    cafa=dict(type="CAFA"),
    mt=dict(type="MeanTeacher", student_view=dict(type="RandomView", rotation=30)),
)


@pytest.fixture
def write(tmp_path):
    """Write a small config with some adaptations; nothing that it names is there."""

    def write(name, counts, adaptations=None, hooks=()):
        data = dict(ann_file="nowhere/annotations.json")
        cfg = run_config(tmp_path, data, data, counts)
        cfg.model.adaptations = adaptations or {}
        cfg.model.backbone.init_cfg = MISSING_WEIGHTS
        cfg.custom_hooks = list(hooks)
        cfg.dump(tmp_path / f"{name}.py")
        return str(tmp_path / f"{name}.py")

    return write


@pytest.fixture
def teacher_config(write):
    return write("teacher", UDA, MEAN_TEACHER, [dict(type="EMATeacherHook")])


def read_table(text):
    """The rows of the Markdown tables in a text, as lists of cells."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def read_cell(cell):
    median, low, high = cell.replace("(", "").replace("to ", "").strip(")").split()
    return float(median), float(low), float(high)


def test_table(load_tool, write, teacher_config, capsys):
    tool = load_tool("benchmark_step")
    oracle = write("oracle", dict(target_labeled=4))
    argv = ["--iters", "2", "--warmup", "1", "--threads", "1", "--device", "cpu"]
    tool.main([teacher_config, oracle, *argv, "--profile"])
    out = capsys.readouterr().out
    assert "1 CPU threads" in out and "of 2 iterations" in out

    _, _, adapted, supervised, *parts = read_table(out)
    assert adapted[:2] == ["teacher", "2 source, 2 target_unlabeled"]
    assert supervised[:2] == ["oracle", "4 target_labeled"]
    for row in (adapted, supervised):
        times = [read_cell(cell) for cell in row[2:5]]
        assert all(low <= median <= high for median, low, high in times)
        a, b, c = (median for median, _, _ in times)
        assert a > 0 and b > 0 and (c > 0) == (row is adapted)
        assert float(row[5]) == pytest.approx(a / (b + c), rel=0.02, abs=0.01)
        assert row[6] == ""  # no GPU

    shares = [float(row[2].split()[0]) for row in parts if row[2].endswith("%")]
    assert sum(shares) == pytest.approx(200, abs=2)
    assert {row[0] for row in parts} >= {"mt: teacher", "cafa: adapt", "EMA", "rest"}


def test_as_many_times_as_wanted(teacher_config):
    cfg = bench.load_step_config(teacher_config)
    result = bench.measure(cfg, "cpu", iters=3, warmup=0)
    assert {name: len(times) for name, times in result.times.items()} == dict.fromkeys(
        "abc", 3
    )
    assert result.counts == UDA and result.parts == []


def test_ratio_is_that_of_the_medians():
    times = dict(a=[3.0, 9.0, 100.0], b=[1.0, 2.0, 50.0], c=[1.0, 1.0, 7.0])
    assert bench.Result({}, times).ratio == 3


def test_both_steps_train_the_same_network(teacher_config):
    cfg = bench.load_step_config(teacher_config)
    adapted = bench.Training(bench.adapted_model(cfg), cfg, UDA, "cpu")
    labeled = dict(source=4)
    supervised = bench.Training(bench.stock_model(cfg), cfg, labeled, "cpu")
    of_network = {
        name: parameter.shape
        for name, parameter in adapted.model.named_parameters()
        if not name.startswith("adaptations.")
    }
    assert of_network == {n: p.shape for n, p in supervised.model.named_parameters()}
    assert type(supervised.model).__name__ == "TopdownPoseEstimator"
    assert not supervised.hooks

    for training in (adapted, supervised):
        before = {n: p.detach().clone() for n, p in training.model.named_parameters()}
        training()
        after = dict(training.model.named_parameters())
        for name in of_network:
            assert not torch.equal(before[name], after[name]), name

    (hook,) = adapted.hooks
    assert type(hook).__name__ == "EMATeacherHook"
    assert adapted.model.adaptations["mt"].average.steps == 2  # before, and the step


def test_batch_is_like_that_of_the_dataset(write, coco, mpii, tmp_path):
    cfg = bench.load_step_config(write("ssda", SSDA))
    batch = bench.random_batch(cfg, SSDA)
    real = run_config(tmp_path, coco, mpii, SSDA, labeled_target=dict(count=2))
    dataset = DATASETS.build(real.train_dataloader.dataset)
    images = {dataset.domain_of(i): i for i in range(len(dataset))}
    domains = [sample.domain for sample in batch["data_samples"]]
    assert domains == ["source", "source", "target_labeled", "target_unlabeled"]

    def tensors(data):
        return {key: (tuple(x.shape), x.dtype) for key, x in data.items()}

    for image, sample in zip(*batch.values(), strict=True):
        expected = dataset[images[sample.domain]]
        assert image.shape == expected["inputs"].shape
        assert image.dtype == expected["inputs"].dtype == torch.uint8
        expected = expected["data_samples"]
        assert set(sample.keys()) == set(expected.keys())
        assert set(sample.gt_instances.keys()) == set(expected.gt_instances.keys())
        if sample.domain != "target_unlabeled":
            assert sample.gt_fields.heatmaps.amax((1, 2)).min() > 0.5
            for name in ("gt_fields", "gt_instance_labels"):
                made, wanted = (tensors(s.get(name)) for s in (sample, expected))
                assert made == wanted


def test_input_size_and_samples(teacher_config):
    samples = dict(target_unlabeled=1, source=3, target_labeled=0)
    cfg = bench.load_step_config(teacher_config, samples, (64, 128))
    counts = cfg.counts.to_dict()
    assert list(counts.items()) == [("source", 3), ("target_unlabeled", 1)]
    batch = bench.random_batch(cfg, counts)
    assert batch["inputs"][0].shape == (3, 128, 64)
    assert batch["data_samples"][0].gt_fields.heatmaps.shape == (16, 32, 16)
    assert bench.measure(cfg, "cpu", iters=1, warmup=0).ratio > 0


def test_domains_that_are_unknown_or_not_given(teacher_config, write):
    with pytest.raises(ValueError, match="target_unlabeled.*'street'"):
        bench.load_step_config(teacher_config, dict(street=4))
    with pytest.raises(ValueError, match="needs --samples"):
        bench.load_step_config(write("none", {}))


def test_parts_add_up_to_the_step(teacher_config, monkeypatch):
    cfg = bench.load_step_config(teacher_config)
    step = bench.Training(bench.adapted_model(cfg), cfg, UDA, "cpu")
    model, before = step.model, set(vars(step.model.head))
    ticks = itertools.count()
    monkeypatch.setattr(bench, "now", lambda: next(ticks))
    parts = bench.profile(step)
    assert sum(parts.values()) == next(ticks) - 1
    # From its begin to its end, without what is within, each part is one tick.
    assert parts["backward"] == parts["mt: teacher"] == parts["head"] == 1
    # Around the teacher there is one before it and one after it.
    assert parts["mt: prepare"] == 2
    assert set(vars(model.head)) == before and "extract_feat" not in vars(model)


def test_a_style_needs_no_weights(write):
    style = dict(type="StyleTransfer", style=dict(type="AdaINStyle"), share=1.0)
    cfg = bench.load_step_config(write("style", UDA, dict(style=style)))
    (parts,) = bench.measure(cfg, "cpu", iters=1, warmup=0, with_parts=True).parts
    assert parts["style: prepare"] > 0
