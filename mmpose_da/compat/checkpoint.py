"""Checkpoints are read as data, whatever they hold and wherever they come from.

A checkpoint is a pickle, and a pickle can call any function. PyTorch's weights-only
unpickler builds tensors and plain Python data, and calls nothing that is not declared
safe. A checkpoint of MMEngine's ``Runner`` also holds NumPy data (the meta information
of the dataset, scores) and the logged values
(:class:`mmengine.logging.HistoryBuffer`). They are declared here, one by one, and every
load through MMEngine is made a weights-only load: PyTorch before 2.6 does so only when
it is told to, and the loading of a URL tells every PyTorch not to.
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

# With this and FORCE set, torch.load refuses to choose.
_FORCE_NOT = "TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD"
_one_thread = RLock()  # re-entrant: a loader may call another one


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


def _numeric_dtype(code: str, *_: Any) -> np.dtype:
    """Stand in for ``numpy.dtype`` in a checkpoint.

    A pickle makes a copy of a dtype and gives it a state. NumPy believes the state,
    and with it reads and frees memory that is not the array's. This gives NumPy's own
    dtype, which no state changes: numbers in the byte order of this machine.
    """
    dtype = np.dtype(code)
    if dtype.isbuiltin and dtype.char in _NUMERIC_TYPECODES:
        return dtype
    raise UnpicklingError(
        f"the checkpoint holds a NumPy array of {code!r}, and only arrays of numbers "
        "are safe to load"
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
        *sorted(dtypes, key=repr),
        (_numeric_dtype, "numpy.dtype"),
        (reconstruct, "numpy.core.multiarray._reconstruct"),
        (reconstruct, "numpy._core.multiarray._reconstruct"),
        (scalar, "numpy.core.multiarray.scalar"),
        (scalar, "numpy._core.multiarray.scalar"),
        HistoryBuffer,
        (_history_buffer_getattr, "builtins.getattr"),
    ]


def register_safe_globals() -> None:
    """Declare the content of MMEngine's checkpoints safe to load."""
    if _declares_by_name():
        torch.serialization.add_safe_globals(safe_globals())
    else:
        weights_unpickler.install(safe_globals())


def _declares_by_name() -> bool:
    """Whether PyTorch can be told what is safe, and under which name (2.6)."""
    major, minor = torch.__version__.split(".")[:2]
    return (int(major), int(minor)) >= (2, 6)


def make_loading_safe() -> None:
    """Make MMEngine load checkpoints as data: see :func:`_load_as_data`."""
    register_safe_globals()
    CheckpointLoader.load_checkpoint = staticmethod(
        _load_as_data(CheckpointLoader.load_checkpoint)
    )


def _load_as_data(load: Callable) -> Callable:
    """Wrap ``CheckpointLoader.load_checkpoint``, the one door for every scheme.

    What it loads runs no code: a checkpoint that holds more than data is refused, and
    the text of a config in it is dropped.

    Raises:
        UnpicklingError: If the checkpoint asks for what is not declared safe.
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
                f"the checkpoint '{filename}' is refused, and no code of it was run: "
                f"{_reason(error)}. If it is damaged, get it again; if it holds more "
                "than tensors and plain data, save its state dict alone where its "
                "source is trusted"
            ) from None
        except (FileNotFoundError, ImportError):  # they say what is missing
            raise
        except Exception as error:  # a damaged pickle can raise anything
            if isinstance(error, OSError) and "://" in str(filename):
                raise RuntimeError(
                    f"the checkpoint '{filename}' cannot be downloaded: "
                    f"{_first_line(error)}. Without a network, start from random "
                    "weights (tools/train.py CONFIG --cfg-options from_scratch=True), "
                    "or download it elsewhere and give its path, as in load_from=PATH"
                ) from error
            raise RuntimeError(
                f"the checkpoint '{filename}' cannot be read: {_first_line(error)}. "
                "If it is truncated or damaged, get it again; downloads are kept in "
                f"{torch.hub.get_dir()}/checkpoints"
            ) from error
        _drop_config_text(checkpoint, filename, logger)
        return checkpoint

    return load_checkpoint


@contextmanager
def _weights_only() -> Iterator[None]:
    """Make every ``torch.load`` in the context a weights-only load.

    One thread at a time, for the environment is that of all.
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
    """What ``torch.load`` found, without its advice to load the file all the same."""
    if refused := re.search(r"GLOBAL (\S+)", str(error)):
        return f"it asks for '{refused[1]}'"
    return _first_line(str(error).rpartition("WeightsUnpickler error: ")[2])


def _first_line(error: Exception | str) -> str:
    return (str(error) or type(error).__name__).partition("\n")[0]


def _drop_config_text(checkpoint: Any, filename: str, logger: Any) -> None:
    """Drop ``meta.config``, which ``Runner.resume`` would run as Python.

    It is there in checkpoints of MMPose 0.x; ``meta.cfg``, which MMEngine writes, no
    runner runs.
    """
    meta = checkpoint.get("meta") if isinstance(checkpoint, dict) else None
    if isinstance(meta, dict) and meta.pop("config", None) is not None:
        print_log(
            f"The config in the checkpoint '{filename}' is left out: resuming would "
            "run it as Python code.",
            logger=logger,
            level=logging.INFO,
        )
