"""tools/benchmark_scores.py."""

import pytest

from mmpose_da.apis.scores import write_scores

METRIC = "PCKh@0.5 (12 joints)"


@pytest.fixture
def scored(tmp_path):
    """Make a benchmark of a row whose checkpoints have been scored."""

    def make(name: str, row: str, metric: float, consistency: float):
        folder = tmp_path / name
        for seed in ("seed_0", "seed_1"):
            (folder / seed / row / "input").mkdir(parents=True)
            for file in ("result.json", "input/config.py", "iter_5.pth"):
                (folder / seed / row / file).touch()
        lines = [
            {
                "seed": seed,
                "row": row,
                "checkpoint": "iter_5",
                METRIC: str(metric),
                "label_free/consistency": str(consistency),
            }
            for seed in ("seed_0", "seed_1")
        ]
        write_scores(folder / "scores.csv", lines)
        return str(folder)

    return make


def test_several_benchmarks_are_compared(scored, load_tool, capsys):
    folders = [
        scored("main", "start", 50, 80),
        scored("worse", "adapted", 40, 70),
        scored("better", "adapted", 60, 75),
    ]
    options = ["--metric", METRIC, "--start", "start"]
    load_tool("benchmark_scores").main([*folders, *options])
    out = capsys.readouterr().out
    assert f"6 checkpoints, {METRIC}" in out
    # 70, 75, and 80 of models with 40, 60, and 50.
    assert "| consistency | 0.50 | 10.0 | 100% | 100% |" in out


def test_without_the_start(scored, load_tool, capsys):
    folder = scored("main", "start", 50, 80)
    with pytest.raises(SystemExit):
        load_tool("benchmark_scores").main(
            [folder, "--metric", METRIC, "--start", "other"]
        )
    assert "seed_0 has no row 'other'" in capsys.readouterr().err
