import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

LOADER = """
import time
import torch
from mmengine.registry import FUNCTIONS
import mmpose_da

class Data(torch.utils.data.Dataset):
    def __len__(self):
        return 100
    def __getitem__(self, index):
        return bytes(1_000_000)  # more than a pipe holds

loader = torch.utils.data.DataLoader(
    Data(), num_workers=2, worker_init_fn=FUNCTIONS.get("end_with_parent"))
batches = iter(loader)
next(batches)
print(*[worker.pid for worker in batches._workers], flush=True)
time.sleep(60)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel of Linux does it")
def test_workers_of_a_killed_run_end(repo):
    environment = dict(os.environ, PYTHONPATH=str(repo))
    with subprocess.Popen(
        [sys.executable, "-c", LOADER], stdout=subprocess.PIPE, env=environment
    ) as process:
        workers = process.stdout.readline().split()
        process.kill()
    assert len(workers) == 2
    deadline = time.monotonic() + 20
    while any(map(_runs, workers)):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def _runs(pid: bytes) -> bool:
    try:
        state = Path(f"/proc/{pid.decode()}/stat").read_text().rpartition(")")[2]
    except FileNotFoundError:
        return False
    return state.split()[0] not in "ZX"
