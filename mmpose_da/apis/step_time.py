"""The time of a training step, from a few of them."""

from __future__ import annotations

import time
from collections.abc import Iterator
from copy import deepcopy

import torch
from mmengine.config import Config
from mmengine.logging import MessageHub
from mmengine.registry import init_default_scope
from mmengine.runner import Runner
from mmpose.registry import MODELS
from torch.utils.data import DataLoader

from ..engine import EMATeacherHook

STEPS = 3


def step_time(cfg: Config, device: str, steps: int = STEPS) -> float:
    """Measure the seconds of a training step, without writing anything.

    It is the longer of computing and of loading images, which other processes do
    meanwhile, or their sum without such processes. The weights do not matter and are
    random.

    Args:
        cfg (Config): The training config.
        device (str): The device.
        steps (int): Number of steps after a first one that does not count. Defaults to
            3.

    Returns:
        float: The mean time in seconds.
    """
    init_default_scope("mmpose")
    cfg = deepcopy(cfg)
    workers = cfg.train_dataloader.num_workers
    cfg.train_dataloader.update(num_workers=0, persistent_workers=False)
    model = MODELS.build(cfg.model).to(device).train()
    teaches = any(hook["type"] == "EMATeacherHook" for hook in cfg.custom_hooks)
    if teaches:
        EMATeacherHook().update(model)
    batches = _endless(Runner.build_dataloader(cfg.train_dataloader, seed=0))
    schedule = dict(iter=0, max_iters=cfg.train_cfg.max_iters)  # what ramps look up
    MessageHub.get_current_instance().update_info_dict(schedule)
    loading = computing = 0.0
    for index in range(steps + 1):
        begin = time.perf_counter()
        data = next(batches)
        loaded = time.perf_counter()
        batch = model.data_preprocessor(data, True)
        if cfg.train_cfg.type == "AdaBNLoop":
            with torch.no_grad():
                model(**batch, mode="tensor")
        else:
            loss, _ = model.parse_losses(model.loss(**batch))
            loss.backward()
            if teaches:
                EMATeacherHook().update(model)
        if device.startswith("cuda"):
            torch.cuda.synchronize()
        if index > 0:
            loading += loaded - begin
            computing += time.perf_counter() - loaded
    if workers == 0:
        return (loading + computing) / steps
    return max(computing, loading / workers) / steps


def _endless(loader: DataLoader) -> Iterator[dict]:
    while True:
        yield from loader
