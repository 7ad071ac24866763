from __future__ import annotations

import ctypes
import os
import signal
import sys

from mmengine.registry import FUNCTIONS

_PR_SET_PDEATHSIG = 1  # from <linux/prctl.h>


@FUNCTIONS.register_module()
def end_with_parent(worker_id: int) -> None:
    """Make a data loader worker end when the training process is killed.

    PyTorch's workers notice that the parent is gone, but then block forever on
    prefetched data that nobody reads, and keep their memory. On Linux, this has the
    kernel kill them. On other platforms, it does nothing. Use it as MMEngine's
    ``worker_init_fn``: ``dict(type='end_with_parent')``.

    Args:
        worker_id (int): Unused.
    """
    kill_with_parent()


def kill_with_parent(parent: int | None = None) -> None:
    """Have the kernel of Linux kill this process as soon as its parent is gone.

    For the kernel, the parent is the thread that started this process, so that thread
    must wait for its end. On other platforms, it does nothing.

    Args:
        parent (int, optional): The parent's process id, to see if it is gone already.
            Defaults to None: that is not checked.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if parent not in (None, os.getppid()):
            os.kill(os.getpid(), signal.SIGKILL)
