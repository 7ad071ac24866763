"""MMCV without its compiled operators.

MMPose imports ``mmcv.ops``, most of which no pose estimator calls. The
distribution mmcv-lite holds the Python part of it but not the compiled
extension ``mmcv._ext``, so that the import alone fails. With a stand-in for the
extension it succeeds, and only a call of a compiled operator is an error.
"""

import importlib
import importlib.util
import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any, NoReturn

EXTENSION = "mmcv._ext"


class _MissingExtension(ModuleType):
    """A module in which every operator exists and fails when called."""

    def __getattr__(self, name: str) -> Callable[..., NoReturn]:
        if name.startswith("__"):  # what the import system asks of a module
            raise AttributeError(name)

        def missing_op(*args: Any, **kwargs: Any) -> NoReturn:
            raise RuntimeError(
                f"the operator '{name}' needs the compiled part of MMCV, and "
                "mmcv-lite is installed, which has none; install compiled MMCV "
                "instead: `make setup MMCV=full` in a checkout of MMPose-DA, "
                "or `pip uninstall mmcv-lite` and `pip install mmcv`"
            )

        return missing_op


def import_mmcv_ops() -> bool:
    """Import ``mmcv.ops``, with a stand-in for a missing ``mmcv._ext``.

    The stand-in is in ``sys.modules`` during that import only: MMCV and
    MMEngine look for ``mmcv._ext`` later, in order to decide whether compiled
    operators can be used, and must not find it.

    Returns:
        bool: Whether the compiled operators are there.
    """
    if EXTENSION in sys.modules or importlib.util.find_spec(EXTENSION) is not None:
        return True
    if "mmcv.ops" not in sys.modules:
        sys.modules[EXTENSION] = _MissingExtension(EXTENSION)
        try:
            importlib.import_module("mmcv.ops")
        finally:
            del sys.modules[EXTENSION]
    return False
