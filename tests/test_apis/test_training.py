"""Training by the library and by MMEngine alone."""

from mmengine.config import Config
from mmengine.runner import Runner
from tiny_run import UDA, run_config

from mmpose_da import apis


def test_a_bare_runner_does_the_same(tmp_path, coco, mpii, compare):
    """Such as the Runner of MIM: all that makes a run exact is in the config."""
    run_config(tmp_path, coco, mpii, UDA).dump(tmp_path / "tiny.py")

    def load(name: str) -> Config:
        cfg = apis.load_config(tmp_path / "tiny.py", work_dir=str(tmp_path / name))
        cfg.visualizer.name = cfg.experiment_name = name
        return cfg

    runner = apis.train(load("library"))
    Runner.from_cfg(load("bare")).train()
    assert compare(tmp_path / "library", tmp_path / "bare") == []
    assert runner.iter == runner.max_iters > 0
