"""Safe loading of checkpoints: they are read as data and run no code.

A checkpoint is a pickle, and a pickle can call any function. PyTorch's weights-only
unpickler builds tensors and plain Python data, and calls nothing that is not declared
safe. A checkpoint of MMEngine's ``Runner`` also holds NumPy data (dataset metainfo,
scores) and logged values (:class:`mmengine.logging.HistoryBuffer`). This module
declares these one by one and turns every load through MMEngine into a weights-only
load. PyTorch before 2.6 does so only on request, and loading from a URL turns it off in
every version.
"""

import logging
import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from pickle import UnpicklingError
from threading import RLock
from typing import Any

import numpy as np
import torch
from mmengine.logging import HistoryBuffer, print_log
from mmengine.runner.checkpoint import CheckpointLoader

from . import weights_unpickler
from .weights_unpickler import FORCE

# The statistics that every HistoryBuffer registers.
_STATISTICS = ("min", "max", "current", "mean")
_NUMERIC_TYPECODES = "?bhilqBHILQefd"

# torch.load raises an error if both this and FORCE are set.
_FORCE_NOT = "TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD"
_one_thread = RLock()  # re-entrant: a loader may call another one


def _history_buffer_getattr(owner: Any, name: str) -> Callable:
    """Replace ``getattr`` in a checkpoint.

    A pickled HistoryBuffer refers to its statistics as ``getattr(HistoryBuffer,
    'mean')``. ``getattr`` itself must not be declared safe: a checkpoint could use it
    to reach ``os.system`` from any safe function. This replacement reads these
    statistics and nothing else.
    """
    if owner is HistoryBuffer and name in _STATISTICS:
        return getattr(HistoryBuffer, name)
    raise UnpicklingError(
        f"the checkpoint requests the attribute {name!r} of {owner!r}, but only "
        f"the statistics {_STATISTICS} of HistoryBuffer are safe to load"
    )


def _numeric_dtype(code: str, *_: Any) -> np.dtype:
    """Replace ``numpy.dtype`` in a checkpoint.

    A pickle copies a dtype and sets its state. NumPy trusts this state, and may then
    read and free memory outside the array. This replacement returns NumPy's own dtype,
    whose state cannot be set: numbers in native byte order.
    """
    dtype = np.dtype(code)
    if dtype.isbuiltin and dtype.char in _NUMERIC_TYPECODES:
        return dtype
    raise UnpicklingError(
        f"the checkpoint contains a NumPy array of type {code!r}, but only numeric "
        "arrays are safe to load"
    )


def _no_bytes(*arguments: Any) -> bytes:
    """Replace ``bytes`` in a checkpoint, where it is the content of an empty array."""
    if arguments:
        raise UnpicklingError(
            "the checkpoint requests bytes of a size or content of its own, but only "
            "those of an empty array are safe to load"
        )
    return b""


def safe_globals() -> list[Callable | tuple[Callable, str]]:
    """List what MMEngine checkpoints hold besides tensors and plain data.

    Returns:
        list[Callable | tuple[Callable, str]]: Arguments for
        ``torch.serialization.add_safe_globals``: a type or function, or a tuple of one
        and the name under which a checkpoint refers to it.
    """
    # A float64 array is pickled as _reconstruct(ndarray, ...) with a dtype object,
    # whose class is Float64DType, and a float64 number as scalar(dtype, bytes). Their
    # module depends on the NumPy that wrote them: numpy.core before NumPy 2,
    # numpy._core since.
    reconstruct = np.empty(0).__reduce__()[0]
    scalar = np.float64(0).__reduce__()[0]
    dtypes = {type(np.dtype(code)) for code in _NUMERIC_TYPECODES}
    return [
        np.ndarray,
        *sorted(dtypes, key=repr),
        (_numeric_dtype, "numpy.dtype"),
        (_no_bytes, "builtins.bytes"),
        (reconstruct, "numpy.core.multiarray._reconstruct"),
        (reconstruct, "numpy._core.multiarray._reconstruct"),
        (scalar, "numpy.core.multiarray.scalar"),
        (scalar, "numpy._core.multiarray.scalar"),
        HistoryBuffer,
        (_history_buffer_getattr, "builtins.getattr"),
    ]


def register_safe_globals() -> None:
    """Declare the contents of MMEngine checkpoints safe to load."""
    if _declares_by_name():
        torch.serialization.add_safe_globals(safe_globals())
    else:
        weights_unpickler.install(safe_globals())


def _declares_by_name() -> bool:
    """Return whether PyTorch accepts safe globals with a name (2.6 or later)."""
    major, minor = torch.__version__.split(".")[:2]
    return (int(major), int(minor)) >= (2, 6)


def make_loading_safe() -> None:
    """Make MMEngine load checkpoints as data; see :func:`_load_as_data`."""
    register_safe_globals()
    CheckpointLoader.load_checkpoint = staticmethod(
        _load_as_data(CheckpointLoader.load_checkpoint)
    )


def _load_as_data(load: Callable) -> Callable:
    """Wrap ``CheckpointLoader.load_checkpoint``, the entry point for all schemes.

    Loading runs no code: a checkpoint that holds more than data is rejected, and the
    text of a config in it is dropped.

    Raises:
        UnpicklingError: If the checkpoint requests anything that is not declared safe.
        RuntimeError: If it cannot be read or downloaded.
    """

    @wraps(load)
    def load_checkpoint(
        filename: str, map_location: Any = None, logger: Any = "current"
    ) -> Any:
        try:
            with _weights_only():
                checkpoint = load(filename, map_location, logger)
        except UnpicklingError as error:
            raise UnpicklingError(
                f"the checkpoint '{filename}' is rejected, and none of its code was "
                f"run: {_reason(error)}. If it is damaged, get a new copy; if it "
                "contains more than tensors and plain data, save only its state dict, "
                "on a machine where its source is trusted"
            ) from None
        except (FileNotFoundError, ImportError):  # the message says what is missing
            raise
        except Exception as error:  # a damaged pickle can raise anything
            if isinstance(error, OSError) and "://" in str(filename):
                raise RuntimeError(
                    f"the checkpoint '{filename}' cannot be downloaded: "
                    f"{_first_line(error)}. Without network access, start from "
                    "random weights (tools/train.py CONFIG --cfg-options "
                    "from_scratch=True), or download it elsewhere and set "
                    "load_from=PATH"
                ) from error
            raise RuntimeError(
                f"the checkpoint '{filename}' cannot be read: {_first_line(error)}. "
                "If it is truncated or damaged, get a new copy; downloads are stored "
                f"in {torch.hub.get_dir()}/checkpoints"
            ) from error
        _drop_config_text(checkpoint, filename, logger)
        return checkpoint

    return load_checkpoint


@contextmanager
def _weights_only() -> Iterator[None]:
    """Make every ``torch.load`` in the context a weights-only load.

    Only one thread may enter at a time, because threads share the environment.
    """
    with _one_thread:
        before = {name: os.environ.pop(name, None) for name in (FORCE, _FORCE_NOT)}
        os.environ[FORCE] = "1"
        try:
            yield
        finally:
            del os.environ[FORCE]
            os.environ.update({k: v for k, v in before.items() if v is not None})


def _reason(error: UnpicklingError) -> str:
    """Return what ``torch.load`` found, without its advice to load the file anyway."""
    if refused := re.search(r"GLOBAL (\S+)", str(error)):
        return f"it requests '{refused[1]}'"
    return _first_line(str(error).rpartition("WeightsUnpickler error: ")[2])


def _first_line(error: Exception | str) -> str:
    return (str(error) or type(error).__name__).partition("\n")[0]


def _drop_config_text(checkpoint: Any, filename: str, logger: Any) -> None:
    """Drop ``meta.config``, which ``Runner.resume`` would run as Python code.

    MMPose 0.x checkpoints contain it. MMEngine writes ``meta.cfg`` instead, which no
    runner executes.
    """
    meta = checkpoint.get("meta") if isinstance(checkpoint, dict) else None
    if isinstance(meta, dict) and meta.pop("config", None) is not None:
        print_log(
            f"The config in the checkpoint '{filename}' is dropped: resuming would "
            "run it as Python code.",
            logger=logger,
            level=logging.INFO,
        )
