"""Loops that are interrupted and resumed give the result of an uninterrupted run."""

import pytest
import torch
from killed_run import Kill, Runs
from mmengine.config import Config
from mmengine.runner import Runner
from tiny_run import SSDA, UDA, run_config

from mmpose_da.datasets import MixedDomainDataset
from mmpose_da.engine import find_checkpoint, loops


def by_iter(cfg: Config, max_iters: int = 7, interval: int = 2) -> Config:
    """As many iterations, validated and saved every few."""
    cfg.train_cfg = dict(
        type="ExactIterBasedTrainLoop", max_iters=max_iters, val_interval=interval
    )
    cfg.default_hooks.checkpoint.update(interval=interval, by_epoch=False)
    cfg.log_processor = dict(by_epoch=False)
    return cfg


@pytest.fixture(params=["epochs", "iterations"])
def runs(request, tmp_path, coco, mpii):
    cfg = run_config(tmp_path, coco, mpii, SSDA, dict(ratio=0.5), max_epochs=3)
    cfg.default_hooks.checkpoint.update(
        save_best="PCKh@0.5 (12 joints)", rule="greater", max_keep_ckpts=2
    )
    return Runs(by_iter(cfg) if request.param == "iterations" else cfg)


def test_interrupted_anywhere_it_ends_the_same(runs, tmp_path, compare):
    runs(tmp_path / "through")
    killed = tmp_path / "killed"
    runs(killed, Kill(iterations=1))  # before the first checkpoint
    assert find_checkpoint(killed) is None
    runs(killed, Kill(validations=0))
    runs(killed, Kill(iterations=5))
    runs(killed, Kill(validations=1))
    runs(killed)
    assert compare(tmp_path / "through", killed) == []
    # The comparison can fail: another seed differs.
    runs(tmp_path / "other", randomness=dict(seed=1))
    assert compare(tmp_path / "through", tmp_path / "other")


def test_the_number_of_workers_makes_no_difference(runs, tmp_path, compare):
    runs(tmp_path / "none")
    loader = {"train_dataloader.num_workers": 2}
    runs(tmp_path / "two", **loader)
    assert compare(tmp_path / "none", tmp_path / "two") == []


def test_nothing_is_loaded_again(runs, tmp_path, monkeypatch):
    runs(tmp_path / "run", Kill(iterations=5))
    loaded = []
    prepare = MixedDomainDataset.prepare_data
    monkeypatch.setattr(
        MixedDomainDataset,
        "prepare_data",
        lambda self, i: loaded.append(i) or prepare(self, i),
    )
    runner = runs(tmp_path / "run")
    by_epoch = "max_epochs" in runs.cfg.train_cfg
    done = 3 if by_epoch else 4  # at the last checkpoint
    assert len(loaded) == 4 * (runner.max_iters - done)


def test_an_epoch_goes_on_in_its_middle(tmp_path, coco, mpii, compare):
    cfg = run_config(tmp_path, coco, mpii, UDA)
    cfg.default_hooks.checkpoint.update(interval=2, by_epoch=False)
    runs = Runs(cfg)
    runs(tmp_path / "through")
    runs(tmp_path / "killed", Kill(iterations=2))
    runs(tmp_path / "killed", Kill(iterations=5))
    runs(tmp_path / "killed")
    assert compare(tmp_path / "through", tmp_path / "killed") == []


def test_a_changed_batch_starts_the_epoch_anew(tmp_path, coco, mpii):
    cfg = run_config(tmp_path, coco, mpii, UDA)
    runs = Runs(cfg)
    runs(tmp_path / "run", Kill(iterations=4))
    runner = runs(
        tmp_path / "run",
        **{
            "train_dataloader.batch_size": 2,
            "train_dataloader.batch_sampler.samples_per_domain": dict(
                source=1, target_unlabeled=1
            ),
        },
    )
    assert runner.iter == 3 + 6


def test_without_a_seed_the_one_that_was_drawn_is_kept(tmp_path, coco, mpii):
    cfg = by_iter(run_config(tmp_path, coco, mpii, UDA))
    cfg.randomness = dict(seed=None, diff_rank_seed=True)
    runs, seeds = Runs(cfg), []
    for name, hook in (
        ("run", Kill(iterations=3)),
        ("run", Kill(iterations=5)),
        ("run", None),
        ("another", None),
    ):
        loop = runs(tmp_path / name, hook).train_loop
        seeds.append(loop.dataloader.batch_sampler.sampler.seed)
    assert seeds[0] == seeds[1] == seeds[2] != seeds[3]


def test_gradients_that_add_up_are_kept(tmp_path, coco, mpii, compare):
    cfg = by_iter(run_config(tmp_path, coco, mpii, UDA), max_iters=8)
    cfg.optim_wrapper.accumulative_counts = 3
    runs = Runs(cfg)
    runs(tmp_path / "through")
    runs(tmp_path / "killed", Kill(iterations=5))  # resumes from 4, which is 3 + 1
    runs(tmp_path / "killed")
    assert compare(tmp_path / "through", tmp_path / "killed") == []


def test_ranks_and_iterations_draw_different_numbers(tmp_path, coco, mpii, monkeypatch):
    drawn, seed_all = [], loops.seed_all

    def note(*key):
        seed_all(*key)
        drawn.append(torch.rand(1).item())

    monkeypatch.setattr(loops, "seed_all", note)
    cfg = by_iter(run_config(tmp_path, coco, mpii, UDA), max_iters=3)
    cfg.val_cfg = cfg.val_dataloader = cfg.val_evaluator = None
    for rank in (0, 1, 0):
        monkeypatch.setattr(loops, "get_rank", lambda rank=rank: rank)
        Runs(cfg)(tmp_path / f"run_{len(drawn)}")
    first, second, again = drawn[:3], drawn[3:6], drawn[6:]
    assert first == again and len({*first, *second}) == 6


def test_another_batch_sampler_is_an_error(tmp_path, coco, mpii):
    cfg = run_config(tmp_path, coco, mpii, UDA)
    del cfg.train_dataloader["batch_sampler"]
    with pytest.raises(ValueError, match="MixedDomainBatchSampler"):
        Runner.from_cfg(cfg).train()
