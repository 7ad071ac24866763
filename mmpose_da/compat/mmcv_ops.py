"""Support for MMCV without compiled operators.

MMPose imports ``mmcv.ops``, most of which no pose estimator calls. The mmcv-lite
distribution includes its Python code but not the compiled extension ``mmcv._ext``, so
the import alone fails. With a stub for the extension, the import succeeds, and only
calling a compiled operator raises an error.
"""

import importlib
import importlib.util
import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any, NoReturn

EXTENSION = "mmcv._ext"


class _MissingExtension(ModuleType):
    """Stub module in which every operator exists but fails when called."""

    def __getattr__(self, name: str) -> Callable[..., NoReturn]:
        if name.startswith("__"):  # looked up by the import system
            raise AttributeError(name)

        def missing_op(*args: Any, **kwargs: Any) -> NoReturn:
            raise RuntimeError(
                f"the operator '{name}' needs the compiled part of MMCV, but "
                "mmcv-lite is installed, which lacks it; install compiled MMCV "
                "instead: `make setup MMCV=full` in a checkout of MMPose-DA, "
                "or `pip uninstall mmcv-lite` and `pip install mmcv`"
            )

        return missing_op


def import_mmcv_ops() -> bool:
    """Import ``mmcv.ops``, with a stub in place of a missing ``mmcv._ext``.

    The stub stays in ``sys.modules`` only during this import: MMCV and MMEngine later
    look for ``mmcv._ext`` to decide whether compiled operators are available, and must
    not find it.

    Returns:
        bool: Whether the compiled operators are available.
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
