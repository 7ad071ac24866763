"""Pictures of a test: one of every N batches."""

import pytest
from mmengine.runner import Runner
from tiny_run import UDA, run_config


@pytest.mark.parametrize("interval, pictures", [(1, 10), (2, 6), (5, 4)])
def test_one_of_so_many_batches_is_drawn(tmp_path, coco, mpii, interval, pictures):
    """Ten people in batches of 4, 4 and 2."""
    cfg = run_config(tmp_path / "work", coco, mpii, UDA)
    cfg.experiment_name = f"interval_{interval}"
    cfg.model.adaptations = dict()
    cfg.custom_hooks = []
    cfg.default_hooks.visualization = dict(
        type="IntervalVisualizationHook",
        enable=True,
        interval=interval,
        out_dir=str(tmp_path / "drawn"),
    )
    Runner.from_cfg(cfg).test()
    assert len(list((tmp_path / "drawn").iterdir())) == pictures
