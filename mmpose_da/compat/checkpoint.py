"""MMEngine's checkpoints under ``torch.load(weights_only=True)``.

Since PyTorch 2.6 ``torch.load`` unpickles tensors and plain Python data only,
unless a type is declared safe. A checkpoint of MMEngine's ``Runner`` also holds
NumPy data (the meta information of the dataset, scores) and the logged values
(:class:`mmengine.logging.HistoryBuffer`). They are declared here, one by one.
"""

from collections.abc import Callable
from pickle import UnpicklingError
from typing import Any

import numpy as np
import torch
from mmengine.logging import HistoryBuffer

# The statistics that every HistoryBuffer registers.
_STATISTICS = ("min", "max", "current", "mean")
_NUMERIC_TYPECODES = "?bhilqBHILQefd"


def _history_buffer_getattr(owner: Any, name: str) -> Callable:
    """Stand in for ``getattr`` in a checkpoint.

    A pickled HistoryBuffer refers to its statistics as
    ``getattr(HistoryBuffer, 'mean')``. ``getattr`` itself must not be declared
    safe: with it, a checkpoint can reach ``os.system`` from any safe function.
    This one reads these statistics and nothing else.
    """
    if owner is HistoryBuffer and name in _STATISTICS:
        return getattr(HistoryBuffer, name)
    raise UnpicklingError(
        f"the checkpoint asks for the attribute {name!r} of {owner!r}, and only "
        f"the statistics {_STATISTICS} of HistoryBuffer are safe to load"
    )


def safe_globals() -> list[Callable | tuple[Callable, str]]:
    """List what MMEngine's checkpoints hold besides tensors and plain data.

    Returns:
        list[Callable | tuple[Callable, str]]: What
        ``torch.serialization.add_safe_globals`` takes: a type or function, or
        one with the name under which a checkpoint refers to it.
    """
    # A float64 array is _reconstruct(ndarray, ...) with a dtype object, whose
    # class is Float64DType; a float64 number is scalar(dtype, bytes). They are
    # pickled under the module of the NumPy that wrote them: numpy.core before
    # NumPy 2, numpy._core since.
    reconstruct = np.empty(0).__reduce__()[0]
    scalar = np.float64(0).__reduce__()[0]
    dtypes = {type(np.dtype(code)) for code in _NUMERIC_TYPECODES}
    return [
        np.ndarray,
        np.dtype,
        *sorted(dtypes, key=repr),
        (reconstruct, "numpy.core.multiarray._reconstruct"),
        (reconstruct, "numpy._core.multiarray._reconstruct"),
        (scalar, "numpy.core.multiarray.scalar"),
        (scalar, "numpy._core.multiarray.scalar"),
        HistoryBuffer,
        (_history_buffer_getattr, "builtins.getattr"),
    ]


def register_safe_globals() -> None:
    """Declare the content of MMEngine's checkpoints safe to load.

    With PyTorch older than 2.6 there is nothing to do: ``torch.load`` does not
    ask, and loads any pickle.
    """
    if _loads_weights_only():
        torch.serialization.add_safe_globals(safe_globals())


def _loads_weights_only() -> bool:
    """Whether ``torch.load`` refuses unknown types unless told otherwise."""
    major, minor = torch.__version__.split(".")[:2]
    return (int(major), int(minor)) >= (2, 6)
