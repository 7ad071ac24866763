"""Run modules that do not change: neither parameters nor statistics."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from torch import nn
from torch.func import functional_call
from torch.nn.modules.batchnorm import _BatchNorm


def constant_call(module: nn.Module, *inputs: Any) -> Any:
    """Call a module whose parameters are constants and whose buffers stay the same.

    Gradients pass through it to the inputs alone.

    Args:
        module (nn.Module): The module, in whatever mode it is.
        inputs: Its inputs.

    Returns:
        Any: Its output.
    """
    state = {name: p.detach() for name, p in module.named_parameters()}
    state.update({name: b.clone() for name, b in module.named_buffers()})
    return functional_call(module, state, inputs)


@contextmanager
def constant_running_statistics(module: nn.Module) -> Iterator[None]:
    """Keep the running statistics of a module's batch normalization in this context.

    In training mode, it still normalizes with the statistics of the batch.

    Args:
        module (nn.Module): Any module.
    """
    norms = [m for m in module.modules() if isinstance(m, _BatchNorm)]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.momentum = 0.0
    try:
        yield
    finally:
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum
