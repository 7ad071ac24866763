import json
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.runner import Runner
from tiny_domains import VAL_PIPELINE
from tiny_run import run_config


@pytest.fixture
def config(tmp_path, coco, mpii):
    cfg = run_config(tmp_path / "run", coco, mpii, dict(target_unlabeled=4))
    cfg.custom_hooks = []
    cfg.model.adaptations = {}
    cfg.model.test_cfg = dict(flip_test=False)
    cfg.train_dataloader.dataset.update(source=None, pipeline=VAL_PIPELINE)
    cfg.train_cfg = dict(type="AdaBNLoop", max_iters=5, val_interval=5)
    cfg.default_hooks.checkpoint.update(by_epoch=False, interval=1)
    cfg.default_hooks.non_finite = dict(type="NonFiniteHook")
    return cfg


def norms(model):
    return {
        name: module
        for name, module in model.named_modules()
        if isinstance(module, torch.nn.BatchNorm2d)
    }


def run(cfg):
    runner = Runner.from_cfg(Config(cfg.to_dict()))
    for module in norms(runner.model).values():  # as of a source model
        module.running_mean.fill_(5.0)
        module.num_batches_tracked.fill_(1000)
    before, seen = {}, []
    first = next(iter(norms(runner.model).values()))

    def keep(module, inputs):
        if not before:
            weights = runner.model.named_parameters()
            before.update({name: weight.clone() for name, weight in weights})
        if module.training:
            seen.append(inputs[0].clone())

    first.register_forward_pre_hook(keep)
    runner.train()
    return runner, before, seen


def test_statistics_are_the_average_of_the_batches_and_no_weight_changes(config):
    runner, before, seen = run(config)
    after = runner.model.state_dict()
    for name, weight in before.items():
        assert torch.equal(after[name], weight), name

    assert len(seen) == 5
    batches = [batch.double().numpy() for batch in seen]
    means, variances = [], []
    for batch in batches:
        channels = batch.transpose(1, 0, 2, 3).reshape(batch.shape[1], -1)
        means.append(channels.mean(1))
        variances.append(channels.var(1, ddof=1))
    first = next(iter(norms(runner.model).values()))
    np.testing.assert_allclose(first.running_mean, np.mean(means, 0), atol=1e-6)
    np.testing.assert_allclose(first.running_var, np.mean(variances, 0), rtol=1e-5)
    assert "val/PCKh@0.5 (12 joints)" in runner.message_hub.log_scalars


def test_resumed_it_ends_with_the_same_statistics(config, tmp_path):
    whole, _, _ = run(config)
    cut = Config(config.to_dict())
    cut.work_dir = str(tmp_path / "cut")
    cut.train_cfg.update(max_iters=2, val_interval=2)
    run(cut)
    cut.train_cfg.update(max_iters=5, val_interval=5)
    cut.update(resume=True, load_from=str(tmp_path / "cut/iter_2.pth"))
    resumed, _, seen = run(cut)
    assert len(seen) == 3
    for name, value in whole.model.state_dict().items():
        assert torch.equal(value, resumed.model.state_dict()[name]), name


def test_labels_make_no_difference(config, mpii):
    first, _, _ = run(config)
    path = Path(mpii["ann_file"])
    people = json.loads(path.read_text())
    for person in people:
        person["joints"] = [[1.0, 1.0]] * 16
    path.write_text(json.dumps(people))
    config.val_evaluator = config.test_evaluator = None
    config.val_dataloader = config.test_dataloader = None
    config.val_cfg = config.test_cfg = None
    second, _, _ = run(config)
    for name, value in first.model.state_dict().items():
        assert torch.equal(value, second.model.state_dict()[name]), name


def test_an_output_that_is_not_finite_is_refused(config):
    runner = Runner.from_cfg(config)
    runner.model.backbone.register_forward_hook(
        lambda module, inputs, outputs: tuple(x * float("nan") for x in outputs)
    )
    with pytest.raises(FloatingPointError, match=r"iteration 1 .*0000\d\d\.png"):
        runner.train()


def test_a_network_without_batch_norm_is_refused(config):
    runner = Runner.from_cfg(config)
    for module in norms(runner.model).values():
        module.track_running_stats = False
    with pytest.raises(ValueError, match="needs a network with batch normalization"):
        runner.train()
