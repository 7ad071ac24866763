"""A run in 3D with domain feature alignment: autocast, and two processes."""

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.runner import Runner
from mmpose.registry import MODELS
from tiny_domains_3d import pose3d_config, write_pose3d
from tiny_run import run_config_3d
from torch import distributed
from torch.nn import functional as F
from two_processes import join, spawn

from mmpose_da.datasets import PseudoLabels
from mmpose_da.structures import joint_definition

COUNTS = dict(source=2, target_pseudo=2, target_unlabeled=0)
#: Validation people: in two processes, the last one is uneven.
PEOPLE = 7


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    """The config file of a run from a few people to a few with pseudo-labels."""
    folder = tmp_path_factory.mktemp("runs_3d")
    for name in ("source", "target"):
        write_pose3d(folder / name, PEOPLE, seed=len(name))
    source, target = (pose3d_config(folder / name) for name in ("source", "target"))
    cfg = run_config_3d(folder / "work", source, target, COUNTS, max_epochs=1)
    names = joint_definition("Pose3dDataset")["keypoint_id2name"]
    rng = np.random.default_rng(0)
    points = rng.uniform(12, 68, (PEOPLE, 17, 3)) - [0, 0, 40]
    sure = np.ones((PEOPLE, 17))
    labels = PseudoLabels(
        tuple(names[i] for i in range(17)),
        tuple(range(1, PEOPLE + 1)),
        points,
        sure,
        sure[:, 0],
    )
    labels.save(folder / "pseudo.json")
    cfg.train_dataloader.dataset.pseudo_target = dict(
        ann_file=str(folder / "pseudo.json")
    )
    cfg.dump(folder / "config.py")
    return folder / "config.py"


def gradient(cfg, half):
    """Loss terms and gradients of the first training step."""
    torch.manual_seed(0)
    model = MODELS.build(cfg.model)
    model.init_weights()
    batch = next(iter(Runner.build_dataloader(cfg.train_dataloader, seed=0)))
    data = model.data_preprocessor(batch, True)
    with torch.autocast("cpu", torch.bfloat16, enabled=half):
        losses = model(**data, mode="loss")
        total, _ = model.parse_losses(losses)
    total.backward()
    return losses, {n: p.grad for n, p in model.named_parameters() if p.requires_grad}


def test_autocast_is_full_precision_up_to_rounding(config):
    cfg = Config.fromfile(config)
    expected, full = gradient(cfg, half=False)
    losses, rounded = gradient(cfg, half=True)
    assert {"source.loss_kpt", "target_pseudo.loss_kpt"} <= losses.keys()
    for name, value in losses.items():
        if "loss" in name:
            assert value.dtype == torch.float32, name
            torch.testing.assert_close(value, expected[name], rtol=0.02, atol=0.01)
    # Each of the new network's layers of normalization amplifies the rounding.
    last = [name for name in full if name.endswith("final_layer.weight")]
    assert len(last) == 3
    for names, similar in ((last, 0.98), (full, 0.75)):
        a, b = (torch.cat([g[n].flatten() for n in names]) for g in (full, rounded))
        assert a.isfinite().all() and b.isfinite().all()
        assert F.cosine_similarity(a, b, dim=0) > similar


def run_rank(rank, path, port):
    """Train and evaluate in one of two processes; it saves the results."""
    cfg = join(rank, path, port)
    runner = Runner.from_cfg(cfg)
    runner.train()
    results = dict(metrics=runner.val(), steps=runner.iter)
    results["weights"] = {k: v.detach() for k, v in runner.model.named_parameters()}
    torch.save(results, path.with_name(f"{rank}.pth"))
    distributed.destroy_process_group()


def test_two_processes_train_one_model(config):
    spawn(run_rank, config)
    first, second = (torch.load(config.with_name(f"{rank}.pth")) for rank in (0, 1))
    assert first["steps"] == second["steps"] > 0
    for name, weight in first["weights"].items():
        assert torch.equal(weight, second["weights"][name]), name
    assert first["metrics"] == second["metrics"]

    # The evaluation of both is that of one process with all people.
    cfg = Config.fromfile(config)
    cfg.load_from = str(config.parent / "work" / "epoch_1.pth")
    runner = Runner.from_cfg(cfg)
    runner.load_or_resume()
    assert runner.val() == pytest.approx(first["metrics"])
