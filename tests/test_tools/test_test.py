"""Options of tools/test.py."""

import pytest
from mmengine.config import Config
from tiny_run import UDA, run_config

CONFIG = """
model = dict(type='Toy', head=dict(loss=dict(type='KeypointMSELoss')))
test_evaluator = dict(type='PCKAccuracy')
default_hooks = dict(
    visualization=dict(type='PoseVisualizationHook', enable=False),
    badcase=dict(type='BadCaseAnalysisHook', enable=False),
)
"""


@pytest.fixture
def make_config(load_tool, write_config, tmp_path):
    test = load_tool("test")
    checkpoint = tmp_path / "checkpoint.pth"
    checkpoint.touch()

    def make(*options: str, text: str = CONFIG) -> Config:
        arguments = [write_config(text), str(checkpoint), *options]
        return test.make_config(test.parse_args(arguments))

    return make


def test_checkpoint_is_loaded(make_config, tmp_path):
    cfg = make_config()
    assert cfg.load_from == str(tmp_path / "checkpoint.pth")
    assert cfg.work_dir == "work_dirs/toy"
    assert cfg.test_evaluator == dict(type="PCKAccuracy")
    assert not cfg.default_hooks.badcase.enable


@pytest.mark.parametrize("suffix", ["", "test_evaluator = [test_evaluator]"])
def test_dump_is_one_more_evaluator(make_config, suffix):
    cfg = make_config("--dump", "predictions.pkl", text=CONFIG + suffix)
    assert cfg.test_evaluator == [
        dict(type="PCKAccuracy"),
        dict(type="DumpResults", out_file_path="predictions.pkl"),
    ]


def test_badcase_shows_bad_cases_alone(make_config):
    hooks = make_config("--badcase", "--show", "--wait-time", "2").default_hooks
    assert not hooks.visualization.enable
    assert (hooks.badcase.enable, hooks.badcase.show) == (True, True)
    assert hooks.badcase.wait_time == 2
    assert hooks.badcase.metric == dict(type="KeypointMSELoss")


def test_a_test_draws_one_of_so_many_batches(make_config):
    hook = make_config("--show-dir", "drawn", "--interval", "7")
    hook = hook.default_hooks.visualization
    assert hook.type == "IntervalVisualizationHook" and hook.interval == 7


def test_badcase_by_accuracy(make_config):
    text = CONFIG + "default_hooks['badcase'].update(metric_type='accuracy')\n"
    cfg = make_config("--badcase", "--show-dir", "drawn", text=text)
    assert cfg.default_hooks.badcase.metric == dict(type="PCKAccuracy")
    assert cfg.default_hooks.visualization.out_dir == "drawn"
    text = text.replace("'accuracy'", "'speed'")
    with pytest.raises(ValueError, match="'loss' or 'accuracy', got 'speed'"):
        make_config("--badcase", text=text)


@pytest.mark.parametrize(
    "options, message",
    [
        (["none.pth"], "there is no file 'none.pth'"),
        (["https://example.org/a.pth", "--out", "a.txt"], "--out must end with"),
        (["https://example.org/a.pth", "--dump", "a.json"], "--dump must end with"),
    ],
)
def test_wrong_arguments(load_tool, write_config, capsys, options, message):
    test = load_tool("test")
    with pytest.raises(SystemExit):
        test.parse_args([write_config(CONFIG), *options])
    assert message in capsys.readouterr().err


def test_tools_check_checkpoints(load_tool, tmp_path, coco, mpii):
    config, path = tmp_path / "tiny.py", tmp_path / "some.pth"
    run_config(tmp_path, coco, mpii, UDA).dump(config)
    path.touch()
    for name, arguments, complete in (("train", [], False), ("test", [path], True)):
        tool = load_tool(name)
        cfg = tool.make_config(tool.parse_args([str(config), *map(str, arguments)]))
        hook = cfg.default_hooks.checkpoint_match
        assert hook.type == "CheckpointMatchHook"
        assert hook.get("complete", False) is complete
