"""Numerically safe operations shared by losses and layers."""

from collections.abc import Iterable
from typing import cast

import torch
from torch import Tensor


def promote(x: Tensor) -> Tensor:
    """Convert half precision to float32; leave other precisions unchanged."""
    return x.float() if x.dtype in (torch.float16, torch.bfloat16) else x


def full_precision(x: Tensor) -> torch.autocast:
    """Return a context in which autocast on the device of ``x`` is disabled."""
    return torch.autocast(x.device.type, enabled=False)


def total(terms: Iterable[Tensor]) -> Tensor:
    """Return the sum of one or more tensors."""
    return cast(Tensor, sum(terms))


def empty_sum(*tensors: Tensor) -> Tensor:
    """Return a zero that keeps the graph of ``tensors``, whatever their values.

    It is the sum of an empty slice: unlike ``0 * x.sum()``, it is 0 for inf and NaN.
    """
    return total(promote(x.flatten()[:0]).sum() for x in tensors)


def unit_vectors(x: Tensor, eps: float = 1e-6) -> Tensor:
    """Divide the vectors along the last dimension by their length.

    Vectors no longer than ``eps`` are left unchanged instead of divided by a tiny
    number: the zero vector stays zero, and its gradient is on the order of one.

    Args:
        x (Tensor): Shape (..., D).
        eps (float): Length up to which a vector counts as zero. Defaults to 1e-6.

    Returns:
        Tensor: Shape (..., D).
    """
    length = torch.linalg.vector_norm(x, dim=-1, keepdim=True)
    return x / torch.where(length > eps, length, torch.ones_like(length))


def shared_center(x: Tensor, y: Tensor) -> Tensor:
    """Return the detached mean of two non-empty sets of vectors.

    It is computed relative to the first vector, so that it equals that vector exactly
    if all vectors are the same.

    Args:
        x (Tensor): Shape (n, D).
        y (Tensor): Shape (m, D).

    Returns:
        Tensor: Shape (D,).
    """
    x, y = x.detach(), y.detach()
    anchor = x[0]
    total = (x - anchor).sum(0) + (y - anchor).sum(0)
    return anchor + total / (len(x) + len(y))


def squared_distances(x: Tensor, y: Tensor) -> Tensor:
    """Compute squared Euclidean distances of all pairs in O(n m + (n + m) D) memory.

    They are |x|^2 + |y|^2 - 2 x.y around the common mean, which avoids most of the
    cancellation. The gradient at distance zero is zero, not NaN.

    Args:
        x (Tensor): Shape (n, D), n > 0.
        y (Tensor): Shape (m, D), m > 0.

    Returns:
        Tensor: Shape (n, m), never negative.
    """
    # Distances do not depend on the center, so detaching it loses no gradient.
    center = shared_center(x, y)
    x, y = x - center, y - center
    lengths = x.square().sum(1)[:, None] + y.square().sum(1)
    return torch.addmm(lengths, x, y.t(), alpha=-2).clamp(min=0)
