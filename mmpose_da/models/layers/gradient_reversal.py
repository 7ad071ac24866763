from typing import Any

import torch
from torch import Tensor


class _GradientScale(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, factor: float) -> Tensor:
        ctx.factor = factor
        return x.view_as(x)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        return grad * ctx.factor, None


def scale_gradient(x: Tensor, factor: float) -> Tensor:
    """Return ``x`` unchanged; its gradient is multiplied by ``factor``.

    Args:
        x (Tensor): Any shape.
        factor (float): Any number; 0 stops the gradient.

    Returns:
        Tensor: The values of ``x``, in the same shape.
    """
    return _GradientScale.apply(x, factor)


def gradient_reversal(x: Tensor, coefficient: float = 1.0) -> Tensor:
    """Return ``x`` unchanged; its gradient is multiplied by ``-coefficient``.

    Ganin and Lempitsky, "Unsupervised Domain Adaptation by Backpropagation", ICML
    2015, section 3.

    Args:
        x (Tensor): Any shape.
        coefficient (float): Strength of the reversed gradient, >= 0. Defaults to 1.0.

    Returns:
        Tensor: The values of ``x``, in the same shape.
    """
    if coefficient < 0:
        raise ValueError(f"coefficient must not be negative, got {coefficient}")
    return scale_gradient(x, -coefficient)
