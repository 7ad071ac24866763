"""The comparison of methods over seeds."""

import csv
import io
import math
import statistics
import subprocess
import sys

import pytest
from mmengine.config import Config
from rich.console import Console
from tiny_domains import VAL_PIPELINE
from tiny_run import LIMBS, UDA, run_config

from mmpose_da.apis import benchmark

METRIC = "PCK@0.1 (12 joints)"


@pytest.fixture
def made_run(tmp_path):
    def make(row, seed, value, ankle=0.0, time=0.1, memory=100.0):
        metrics = {METRIC: value, "Ankle PCK@0.1": ankle, "PCK@0.2 (12 joints)": 99.0}
        result = benchmark.Result(metrics, tmp_path / "iter_1.pth", time, memory)
        return benchmark.Run(row, seed, result)

    return make


@pytest.fixture
def runs(made_run):
    """Three rows, three seeds; the second seed of the method failed."""
    return [
        made_run("init", 0, 1.0),
        made_run("source-only", 0, 20.0),
        made_run("source-only", 1, 30.0),
        made_run("source-only", 2, 10.0),
        made_run("oracle", 0, 60.0),
        made_run("oracle", 1, 70.0),
        made_run("oracle", 2, 90.0),
        made_run("uda", 0, 30.0, ankle=4.0, time=0.3, memory=300.0),
        benchmark.Run("uda", 1, error="out of memory\n"),
        made_run("uda", 2, 50.0, ankle=8.0, time=0.5, memory=200.0),
    ]


NAMES = ["source-only", "uda", "oracle"]
LABELS = {"source-only": "none", "uda": "none", "oracle": "all"}


def test_summary(runs):
    rows = benchmark.summarize(runs, NAMES, METRIC, "source-only", "oracle")
    lower, uda, upper = rows
    assert [row.name for row in rows] == NAMES
    assert uda.values == (30.0, 50.0)
    assert uda.mean == 40
    assert uda.std == pytest.approx(math.sqrt(2 * 10**2 / 1))
    # A quarter in seed 0, a half in seed 2; nothing is said of seed 1.
    assert uda.gap_closed == pytest.approx((10 / 40 + 40 / 80) / 2)
    assert uda.parts == {"Ankle PCK@0.1": 6.0}
    assert uda.step_time == pytest.approx(0.4)
    assert uda.peak_memory == 300
    assert lower.std == pytest.approx(10) and lower.mean == 20
    assert (lower.gap_closed, upper.gap_closed) == (0, 1)


def test_less_may_be_better(load_tool, repo, tmp_path, monkeypatch, capsys):
    """The whole tool, with stages that are not run and the MPJPE that they give."""
    errors = {"source-only": 220.0, "dann": 180.0, "adabn": 230.0, "oracle": 140.0}

    def train_stage(cfg, work_dir, **kwargs):
        error = errors[work_dir.name.split("_")[-1]] + 2 * cfg.randomness.seed
        metrics = {"MPJPE": error, "P-MPJPE": error / 2}
        return benchmark.Result(metrics, work_dir / "iter_9.pth", 1.0, 1.0)

    monkeypatch.setattr(benchmark, "train_stage", train_stage)
    name = str(repo / "configs/da_3d/studio2street3d_res18_{}.py")
    rows = [name.format(row) for row in errors if row != "adabn"]
    tool = load_tool("benchmark")
    tool.main([*rows, "--seeds", "0", "1", "--work-dir", str(tmp_path)])
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "# studio2street3d: MPJPE"
    cells = {line.split(" | ")[0][2:]: line.split(" | ")[1:] for line in lines}
    assert cells["row"][:3] == ["target labels", "MPJPE", "gap closed"]
    assert cells["source-only"][:3] == ["none", "221.0 ± 1.4", "0 %"]
    assert cells["dann"][:3] == ["none", "181.0 ± 1.4", "50 %"]
    assert cells["oracle"][:3] == ["all", "141.0 ± 1.4", "100 %"]
    # A row that is worse than the source model closes less than nothing.
    runs = [
        benchmark.Run(row, 0, train_stage(Config(dict(randomness=dict(seed=0))), path))
        for row, path in ((row, tmp_path / row) for row in errors)
    ]
    summary = benchmark.summarize(runs, list(errors), "MPJPE", "source-only", "oracle")
    gaps = [row.gap_closed for row in summary]
    assert gaps == pytest.approx([0, 0.5, -0.125, 1])


def test_what_is_not_known_is_nan(made_run):
    runs = [made_run("uda", 0, 30.0), benchmark.Run("oracle", 0, error="no")]
    uda, oracle = benchmark.summarize(runs, ["uda", "oracle"], METRIC, None, "oracle")
    assert uda.mean == 30
    assert math.isnan(uda.std) and math.isnan(uda.gap_closed)
    assert oracle.values == () and oracle.parts == {}
    assert math.isnan(oracle.mean) and math.isnan(oracle.peak_memory)
    # No gap to close.
    runs = [made_run(name, 0, 30.0) for name in NAMES]
    rows = benchmark.summarize(runs, NAMES, METRIC, "source-only", "oracle")
    assert all(math.isnan(row.gap_closed) for row in rows)


def test_markdown(runs, made_run):
    rows = benchmark.summarize(runs, NAMES, METRIC, "source-only", "oracle")
    lines = benchmark.markdown(rows, LABELS, METRIC).splitlines()
    assert lines[0] == (
        f"| row | target labels | {METRIC} | gap closed | Ankle | s / step | MiB |"
    )
    assert lines[3] == "| uda | none | 40.0 ± 14.1 | 38 % | 6.0 | 0.400 | 300 |"
    failed = [
        benchmark.Run("uda", 0, error="no"),
        made_run("oracle", 0, 0.612, ankle=0.5),
    ]
    rows = benchmark.summarize(failed, ["uda", "oracle"], METRIC)
    lines = benchmark.markdown(rows, LABELS, METRIC).splitlines()
    assert lines[2:] == [
        "| uda | none |  |  |  |  |  |",
        "| oracle | all | 0.612 |  | 0.500 | 0.100 | 100 |",
    ]


def test_chart_shows_means_spreads_and_seeds(runs):
    rows = benchmark.summarize(runs, [*NAMES, "none"], METRIC, "source-only", "oracle")
    (axes,) = benchmark.chart(rows, METRIC, ("source-only", "oracle"), "title").axes
    assert [bar.get_width() for bar in axes.patches] == [row.mean for row in rows[:3]]
    assert [label.get_text() for label in axes.get_yticklabels()] == NAMES
    drawn = [list(line.get_xdata()) for line in axes.lines]
    for row in rows[:3]:
        assert list(row.values) in drawn
    for bound in (rows[0].mean, rows[2].mean):
        assert [bound, bound] in drawn


def test_the_table_follows_from_the_csv(runs, tmp_path):
    benchmark.write_csv(tmp_path / "results.csv", runs, LABELS)
    with open(tmp_path / "results.csv", newline="") as file:
        lines = list(csv.DictReader(file))
    assert len(lines) == 9  # without the source model
    uda = [line for line in lines if line["row"] == "uda"]
    assert [line["seed"] for line in uda] == ["0", "1", "2"]
    values = [float(line[METRIC]) for line in uda if line[METRIC]]
    (row,) = benchmark.summarize(runs, ["uda"], METRIC)
    assert statistics.stdev(values) == pytest.approx(row.std)
    assert uda[1]["error"] == "out of memory\n" and uda[1]["step_time_s"] == ""


@pytest.mark.parametrize(
    "names, lower, upper",
    [
        (["source-only", "uda", "oracle"], "source-only", "oracle"),
        (["a_source-only", "mla", "a_oracle"], "a_source-only", "a_oracle"),
        (["res50_oracle", "hrnet_oracle"], None, None),
        (["oracle-2k", "resource-only"], None, None),
    ],
)
def test_bounds_are_found_by_the_end_of_the_name(names, lower, upper):
    assert benchmark.find_bound(names, "source-only") == lower
    assert benchmark.find_bound(names, "oracle") == upper


def test_an_empty_share_of_the_gap_has_its_reason(runs, made_run):
    assert benchmark.gap_note(runs, "source-only", "oracle", METRIC) == ""
    note = benchmark.gap_note(runs, "source-only", None, METRIC)
    assert "`oracle`; name one with --upper" in note and "--lower" not in note
    failed = [benchmark.Run("oracle", 2, error="no"), *(r for r in runs if r.seed < 2)]
    failed.append(made_run("source-only", 2, 10.0))
    note = benchmark.gap_note(failed, "source-only", "oracle", METRIC)
    assert "seed 2 has no result of oracle" in note and "seed 1" not in note
    equal = [made_run("source-only", 0, 5.0), made_run("oracle", 0, 5.0)]
    note = benchmark.gap_note(equal, "source-only", "oracle", METRIC)
    assert "in seed 0, source-only and oracle are equal" in note


def test_failures_are_told(runs):
    assert "Failed: uda, seed 1." in benchmark.failures(runs)
    assert "out of memory" in benchmark.failures(runs)
    assert benchmark.failures(runs[:8]) == ""


def test_row_names():
    ends = ("_source-only", "", "_ssda-5", "_ssda")
    paths = [f"da/a2b_res18{end}.py" for end in ends]
    assert benchmark.row_names(paths) == ["source-only", "uda", "ssda-5", "ssda"]
    assert benchmark.row_names(paths[2:]) == ["ssda-5", "ssda"]
    assert benchmark.row_names(paths[:1]) == ["a2b_res18_source-only"]
    with pytest.raises(ValueError, match="different file names"):
        benchmark.row_names(["a/x.py", "b/x.py"])


def test_target_labels(repo):
    rows = {"source-only": "none", "ssda-5": "5 %", "ssda": "20 %", "oracle": "all"}
    for row, expected in rows.items():
        cfg = Config.fromfile(repo / f"configs/da/studio2street_res18_{row}.py")
        assert benchmark.target_labels(cfg) == expected
    cfg.train_dataloader.dataset.labeled_target = dict(count=500)
    assert benchmark.target_labels(cfg) == "500 images"
    for name, expected in (
        ("da/studio2street_res18_parts", "parts"),
        ("location_free/street_res18_25", "parts, 25 %"),
        ("location_free/street_res18_full", "all"),
    ):
        cfg = Config.fromfile(repo / f"configs/{name}.py")
        assert benchmark.target_labels(cfg) == expected


def test_load_row(repo, write_config):
    path = repo / "configs/da/studio2street_res18.py"
    options = {"train_cfg.max_iters": 7}
    cfg = benchmark.load_row(path, iters=5)
    assert (cfg.train_cfg.max_iters, cfg.train_cfg.val_interval) == (5, 5)
    cfg = benchmark.load_row(path, iters=5, options=options)
    assert (cfg.train_cfg.max_iters, cfg.train_cfg.val_interval) == (7, 5)
    by_epoch = repo / "configs/da/coco2mpii_res50.py"
    with pytest.raises(ValueError, match="coco2mpii_res50.py.*no `max_iters`"):
        benchmark.load_row(by_epoch, iters=5)
    best = "default_hooks = dict(checkpoint=dict(save_best='PCK'))"
    with pytest.raises(ValueError, match="save_best.*last one counts"):
        benchmark.load_row(write_config(best))


def test_rows_must_have_their_budget_in_common():
    def rows(*iters):
        return {str(i): Config(dict(train_cfg=dict(max_iters=i))) for i in iters}

    assert benchmark.common_value(rows(5), "length", benchmark.budget) == "5 iterations"
    with pytest.raises(ValueError, match="same length.*5 iterations.*6 iterations"):
        benchmark.common_value(rows(5, 6), "length", benchmark.budget)


class FakeTraining:
    """In place of `train_stage`: fails where it is told to, and notes its configs."""

    def __init__(self, fail=()):
        self.fail, self.started = fail, []

    def __call__(self, cfg, work_dir, *, threads, progress, stop):
        key = f"{work_dir.parent.name}/{work_dir.name}"
        self.started.append((key, cfg, threads))
        progress(1, 2)
        if key in self.fail:
            raise RuntimeError(f"{work_dir}/train.log: [too bad]")
        value = 10.0 * cfg.randomness.seed
        metrics = {} if work_dir.name == "init" else {METRIC: value}
        return benchmark.Result(metrics, work_dir / "iter_9.pth", 1.0, 1.0)


@pytest.fixture
def run_all(tmp_path, monkeypatch, write_config):
    def run(fail=(), init=True, metric=METRIC, **kwargs):
        training, cfgs = FakeTraining(fail), {}
        monkeypatch.setattr(benchmark, "train_stage", training)
        for row in ("a", "b"):
            text = "load_from = 'own.pth'\nrandomness = dict(deterministic=True)"
            cfgs[row] = Config.fromfile(write_config(text, f"{row}.py"))
        out = io.StringIO()
        kwargs.update(init=cfgs["a"] if init else None, console=Console(file=out))
        runs = benchmark.run_all(cfgs, [1, 2], metric, tmp_path, **kwargs)
        return runs, training.started, out.getvalue()

    return run


@pytest.mark.parametrize("jobs", [1, 3])
def test_rows_start_from_the_source_model_of_their_seed(run_all, tmp_path, jobs):
    runs, started, out = run_all(jobs=jobs)
    assert len(started) == 6 and len(out.splitlines()) == 6
    order = [key for key, *_ in started]
    for key, cfg, threads in started:
        seed = key.split("/")[0]
        assert cfg.randomness == dict(deterministic=True, seed=int(seed[-1]))
        assert threads >= 1
        if not key.endswith("init"):
            assert order.index(f"{seed}/init") < order.index(key)
            assert cfg.load_from == str(tmp_path / seed / "init" / "iter_9.pth")
    values = {(r.row, r.seed): r.result.metrics for r in runs if r.row != "init"}
    assert values == {(row, s): {METRIC: 10.0 * s} for row in "ab" for s in (1, 2)}


def test_without_a_source_model_rows_keep_their_own(run_all):
    _, started, _ = run_all(init=False)
    assert [cfg.load_from for _, cfg, _ in started] == ["own.pth"] * 4


@pytest.fixture
def chain(write_config):
    """Three rows, each of which starts from the next."""

    def config(name, start):
        text = f"load_from = 'work_dirs/{start}/iter_9.pth'"
        return Config.fromfile(write_config(text, f"{name}.py"))

    pairs = dict(third="second", second="first", first="pretrain")
    return {f"row {name}": config(name, start) for name, start in pairs.items()}


@pytest.mark.parametrize("init", [True, False])
@pytest.mark.parametrize("jobs", [1, 3])
def test_a_row_starts_from_another_row(tmp_path, monkeypatch, chain, init, jobs):
    training = FakeTraining()
    monkeypatch.setattr(benchmark, "train_stage", training)
    kwargs = dict(init=chain["row first"] if init else None, jobs=jobs)
    runs = benchmark.run_all(chain, [1, 2], METRIC, tmp_path, **kwargs)
    assert [(r.row, r.seed) for r in runs if r.row != "init"] == [
        (row, seed) for seed in (1, 2) for row in chain
    ]
    order = [key for key, *_ in training.started]
    starts = {key: cfg.load_from for key, cfg, _ in training.started}
    for seed in ("seed_1", "seed_2"):
        for row, first in (("third", "second"), ("second", "first")):
            assert order.index(f"{seed}/{first}") < order.index(f"{seed}/{row}")
            assert starts[f"{seed}/{row}"] == str(
                tmp_path / seed / first / "iter_9.pth"
            )
        expected = tmp_path / seed / "init/iter_9.pth"
        given = "work_dirs/pretrain/iter_9.pth"
        assert starts[f"{seed}/first"] == (str(expected) if init else given)


def test_what_starts_from_a_failed_row_fails(tmp_path, monkeypatch, chain):
    monkeypatch.setattr(benchmark, "train_stage", FakeTraining(fail=["seed_1/second"]))
    runs = benchmark.run_all(chain, [1], METRIC, tmp_path)
    errors = {run.row: run.error for run in runs}
    assert errors["row third"] == "row second, which it starts from, failed"
    assert "too bad" in errors["row second"] and not errors["row first"]


def test_a_row_whose_start_is_not_there_is_an_error(tmp_path, chain):
    init = chain.pop("row first")
    with pytest.raises(
        ValueError, match=r"second.py starts from first .* first.py has"
    ):
        benchmark.run_all(chain, [1], METRIC, tmp_path, init=chain["row third"])
    # The source model itself is no row.
    assert benchmark.starting_row("row second", chain, init) is None
    with pytest.raises(ValueError, match="rows start from each other: .*'a', 'b'"):
        benchmark.in_order(dict(a="b", b="a", c=None))


def test_a_failure_does_not_stop_the_others(run_all):
    runs, started, out = run_all(fail=["seed_1/a", "seed_2/init"])
    errors = {(run.row, run.seed): run.error for run in runs if run.error}
    assert errors.keys() == {("a", 1), ("init", 2), ("a", 2), ("b", 2)}
    assert "train.log: [too bad]" in errors["a", 1]
    assert errors["a", 2] == "init, which it starts from, failed"
    assert "seed_2/a" not in [key for key, *_ in started]
    assert "a, seed 1: failed" in out and "[too bad]" in out
    assert "[6/6]" in out


def test_a_metric_that_is_not_there_is_a_failure(run_all):
    runs, *_ = run_all(metric="AP", init=False)
    assert all(f"gives no 'AP', but ['{METRIC}']" in run.error for run in runs)


@pytest.mark.slow
def test_whole_comparison(tmp_path, coco, mpii, repo):
    base = run_config(tmp_path / "unused", coco, mpii, UDA)
    base.train_cfg = dict(type="ExactIterBasedTrainLoop", max_iters=9, val_interval=9)
    base.default_hooks.checkpoint.update(by_epoch=False)
    base.log_processor = dict(by_epoch=False)
    base.target_metric = "PCKh@0.5 (12 joints)"
    base.dump(tmp_path / "tiny.py")
    base.update(custom_hooks=[])
    base.model.adaptations = dict()
    base.dump(tmp_path / "tiny_source-only.py")
    base.model.backbone.depth = 10  # there is no such network
    base.dump(tmp_path / "tiny_bad.py")
    pair = Config(
        dict(
            joints="MpiiDataset",
            source=coco,
            target=mpii,
            target_val=dict(mpii, test_mode=True, pipeline=VAL_PIPELINE),
            target_evaluator=dict(type="SharedJointsPCK", joints=LIMBS),
            target_metric=METRIC,
        )
    )
    pair.dump(tmp_path / "pair.py")

    command = [sys.executable, str(repo / "tools/benchmark.py")]
    command += ["tiny_source-only.py", "tiny.py", "tiny_bad.py"]
    command += ["--init", "tiny_source-only.py", "--init-iters", "1", "--iters", "2"]
    command += ["--pair", "pair.py", "--seeds", "0", "1", "--jobs", "2"]
    command += ["--work-dir", "out"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)

    assert done.returncode == 1, done.stdout + done.stderr  # for the bad row
    report = (tmp_path / "out/results.md").read_text()
    assert done.stdout.strip() == report.strip()
    assert f"# pair: {METRIC}" in report and "after 2 iterations" in report
    assert "| source-only | none |" in report and "| uda | none |" in report
    assert "Failed: bad, seed 0." in report and "bad/train.log" in report
    assert (tmp_path / "out/results.png").stat().st_size > 5000
    log = (tmp_path / "out/seed_1/tiny/train.log").read_text()
    assert "Load checkpoint from out/seed_1/init/iter_1.pth" in log
    with open(tmp_path / "out/results.csv", newline="") as file:
        lines = list(csv.DictReader(file))
    assert [bool(line["error"]) for line in lines] == 2 * [False, False, True]
    assert all(line[METRIC] for line in lines if not line["error"])
