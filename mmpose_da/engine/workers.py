from __future__ import annotations

import ctypes
import signal
import sys

from mmengine.registry import FUNCTIONS

_PR_SET_PDEATHSIG = 1  # of <linux/prctl.h>


@FUNCTIONS.register_module()
def end_with_parent(worker_id: int) -> None:
    """Have a worker of a data loader end when the training that started it is killed.

    PyTorch's workers notice it, but then wait for ever for somebody to read what they
    have prepared, and keep their memory. On Linux the kernel ends them; elsewhere this
    does nothing. As MMEngine's ``worker_init_fn``: ``dict(type='end_with_parent')``.

    Args:
        worker_id (int): Not used.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
