"""Two processes on the CPU that train together."""

import os
import socket

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from quick_mmengine import make_quick
from torch import multiprocessing

from mmpose_da.compat.distributed import init_dist_on_cpu

#: Timeout of a process that waits for the other: a hang is a failure.
TIMEOUT = 60


def spawn(run_rank, path):
    """Call ``run_rank(rank, path, port)`` in two processes, and wait for both."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CUDA_VISIBLE_DEVICES", "")
        multiprocessing.spawn(run_rank, args=(path, port), nprocs=2)


def join(rank, config, port):
    """Make this process one of the two; return the config of the file, for both."""
    import mmpose_da  # noqa: F401 - registers everything in the new process

    init_default_scope("mmpose")
    make_quick(pytest.MonkeyPatch())
    torch.set_num_threads(1)
    os.environ.update(
        RANK=str(rank),
        LOCAL_RANK=str(rank),
        WORLD_SIZE="2",
        MASTER_ADDR="127.0.0.1",
        MASTER_PORT=str(port),
    )
    cfg = Config.fromfile(config)
    cfg.merge_from_dict({"launcher": "pytorch", "env_cfg.dist_cfg.timeout": TIMEOUT})
    init_dist_on_cpu(cfg)
    return cfg
