"""Memory and data loader processes of long runs."""

import gc
import multiprocessing
import os
import resource
import signal
from pathlib import Path

import pytest
import torch
from mmengine.hooks import Hook
from mmengine.runner import Runner
from tiny_run import SSDA, run_config

MIB = 2**20


@pytest.fixture
def long_run(tmp_path, coco, mpii):
    """Trains so many iterations of all methods; with a hook."""

    def train(max_iters: int, hook: Hook, num_workers: int = 0) -> None:
        cfg = run_config(
            tmp_path / "run",
            coco,
            mpii,
            SSDA,
            dict(ratio=0.5),
            num_workers=num_workers,
        )
        cfg.val_cfg = cfg.val_dataloader = cfg.val_evaluator = None
        cfg.train_cfg = dict(type="ExactIterBasedTrainLoop", max_iters=max_iters)
        cfg.default_hooks.checkpoint = None
        cfg.default_hooks.logger.interval = 100
        cfg.log_processor = dict(by_epoch=False)
        runner = Runner.from_cfg(cfg)
        runner.register_hook(hook)
        runner.train()

    return train


class TensorCounter(Hook):
    def __init__(self) -> None:
        self.counts = {}

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        if runner.iter in (10, 30):
            gc.collect()
            # Not `isinstance`, which calls the counted objects.
            kinds = (torch.Tensor, torch.nn.Parameter)
            self.counts[runner.iter] = sum(type(o) in kinds for o in gc.get_objects())


def test_no_tensor_outlives_its_iteration(long_run):
    counter = TensorCounter()
    long_run(31, counter)
    assert counter.counts[10] == counter.counts[30] > 100


class MemoryCurve(Hook):
    """Resident memory of this process, in MiB, every hundred iterations."""

    def __init__(self) -> None:
        self.curve = []

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        if (runner.iter + 1) % 100 == 0:
            pages = int(Path("/proc/self/statm").read_text().split()[1])
            self.curve.append(pages * resource.getpagesize() / MIB)


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="needs Linux's /proc")
def test_memory_of_2000_iterations_does_not_grow(long_run):
    memory = MemoryCurve()
    long_run(2000, memory)
    at = {n: memory.curve[n // 100 - 1] for n in (100, 500, 1000, 2000)}
    print({n: f"{mib:.1f} MiB" for n, mib in at.items()})
    # The logged values stay, 16 bytes each: less than 1 MiB for 30 terms.
    assert at[2000] - at[1000] < 4


class KillWorker(Hook):
    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        if runner.iter == 2:
            os.kill(multiprocessing.active_children()[0].pid, signal.SIGKILL)


def test_a_worker_that_dies_ends_the_run_and_is_named(long_run):
    with pytest.raises(RuntimeError, match=r"DataLoader worker \(pid.* \d+\)"):
        long_run(1000, KillWorker(), num_workers=2)
