"""Backport of PyTorch 2.6's weights-only unpickler to PyTorch 2.1 to 2.5.

The unpickler of PyTorch 2.1 builds only tensors, and none before 2.6 accepts the name
under which a checkpoint refers to a declared global. This module replaces
``torch._weights_only_unpickler`` and follows the rules of its successor: only declared
globals are called, and only objects of a declared type receive a state.
"""

import os
import pickle
import sys
from _codecs import encode
from _compat_pickle import IMPORT_MAPPING, NAME_MAPPING
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any, BinaryIO, ClassVar

import torch

# This environment variable makes every torch.load a weights-only load, regardless of
# its arguments.
FORCE = "TORCH_FORCE_WEIGHTS_ONLY_LOAD"

# Plain data that PyTorch 2.1 does not load yet; `encode` creates bytes.
_PLAIN = {
    "_codecs.encode": encode,
    "builtins.bytearray": bytearray,
    "builtins.complex": complex,
    "builtins.set": set,
    "collections.Counter": Counter,
    "torch.device": torch.device,
}

_declared: dict[str, Any] = {}


class Unpickler(pickle._Unpickler):
    """Unpickles declared globals only.

    Raises:
        UnpicklingError: If the pickle requests anything else.
    """

    stack: list[Any]
    dispatch: ClassVar[dict[int, Callable]] = dict(pickle._Unpickler.dispatch)

    def find_class(self, module: str, name: str) -> Any:
        """Look up a name among the declared globals; nothing is imported."""
        default = IMPORT_MAPPING.get(module, module), name  # Python 2 names
        path = ".".join(NAME_MAPPING.get((module, name), default))
        if path not in _declared:
            raise pickle.UnpicklingError(f"Unsupported global: GLOBAL {path}")
        return _declared[path]

    def load_build(self) -> None:
        """Set the state of an object of a declared type."""
        kind = type(self.stack[-2])
        if not any(kind is declared for declared in _declared.values()):
            raise pickle.UnpicklingError(f"it sets the state of an object of {kind}")
        super().load_build()  # type: ignore[misc]  # private: not in the stubs

    dispatch[pickle.BUILD[0]] = load_build


def load(file: BinaryIO, *, encoding: str) -> Any:
    """Unpickle one object from a file, as ``pickle.load`` does."""
    return Unpickler(file, encoding=encoding).load()


def install(safe: Iterable[Callable | tuple[Callable, str]]) -> None:
    """Make ``torch.load(weights_only=True)`` use this module.

    Args:
        safe (Iterable[Callable | tuple[Callable, str]]): Globals that are safe besides
            tensors and plain data, as in ``torch.serialization.add_safe_globals`` of
            PyTorch 2.6.
    """
    _declared.update(torch._weights_only_unpickler._get_allowed_globals(), **_PLAIN)
    for entry in safe:
        if not isinstance(entry, tuple):
            entry = entry, f"{entry.__module__}.{entry.__qualname__}"
        _declared[entry[1]] = entry[0]
    # Torch imports the module under this name, and does not export it.
    torch.serialization._weights_only_unpickler = (  # type: ignore[attr-defined]
        sys.modules[__name__]
    )
    _refuse_torchscript()


def _refuse_torchscript() -> None:
    """Reject TorchScript archives in a forced weights-only load.

    They are programs, and through PyTorch 2.5, ``torch.load`` passes all of them to
    ``torch.jit.load``.
    """
    is_torchscript = torch.serialization._is_torchscript_zip

    def refuse_torchscript(archive: Any) -> bool:
        if is_torchscript(archive) and FORCE in os.environ:
            raise RuntimeError("it is a TorchScript archive, which contains code")
        return is_torchscript(archive)

    torch.serialization._is_torchscript_zip = refuse_torchscript
