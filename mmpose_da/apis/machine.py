"""What a run is measured on."""

from __future__ import annotations

import os
import platform

import torch


def cpu_name() -> str:
    """Return the model name of the CPU."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            lines = [line for line in file if line.startswith("model name")]
        return lines[0].split(":", 1)[1].strip()
    except (OSError, IndexError):  # not on Linux, or a CPU without a name
        return platform.processor() or platform.machine()


def num_cores() -> int:
    """Return the number of CPU cores that this process may use."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not available on macOS
        return os.cpu_count() or 1


def device_name() -> str:
    """Return the name of the GPU, or of the CPU without one."""
    return torch.cuda.get_device_name() if torch.cuda.is_available() else cpu_name()


def training_threads() -> int | None:
    """Return the CPU threads for training: one per core, minus one for data loading.

    Threads that wait for each other on a busy core slow training down by a factor of
    ten. Returns None if ``OMP_NUM_THREADS`` sets the number.
    """
    if "OMP_NUM_THREADS" in os.environ:
        return None
    return max(1, (os.cpu_count() or 1) - 1)
