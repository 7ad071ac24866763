from __future__ import annotations

import ctypes
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
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
