from collections.abc import Sequence

import torch
from mmpose.registry import MODELS
from torch import Tensor, nn

from ..layers.numerics import (
    empty_sum,
    full_precision,
    promote,
    shared_center,
    squared_distances,
    total,
)


def mean_squared_distance(source: Tensor, target: Tensor) -> Tensor:
    """Return the mean squared distance over all distinct pairs of samples of both sets.

    With z all N = n + m samples, the mean over the N (N - 1) / 2 pairs is
    ``2 / (N - 1) * sum_i |z_i - mean(z)|^2``: O(N D) time and memory.

    Args:
        source (Tensor): Shape (n, D), n > 0.
        target (Tensor): Shape (m, D), m > 0.

    Returns:
        Tensor: A scalar, exactly 0 if all samples are the same.
    """
    center = shared_center(source, target)
    scatter = (source - center).square().sum() + (target - center).square().sum()
    return 2 * scatter / (len(source) + len(target) - 1)


@MODELS.register_module()
class MMDLoss(nn.Module):
    """Squared maximum mean discrepancy between the features of two domains.

    The alignment loss of section 3.2 of Xu et al., "Alleviating Human-level Shift: A
    Robust Domain Adaptation Method for Multi-person Pose Estimation", ACM MM 2020.
    The estimates are those of Gretton et al., "A Kernel Two-Sample Test", JMLR 2012;
    the sum of kernels follows Long et al., "Learning Transferable Features with Deep
    Adaptation Networks", ICML 2015::

        k(x, y) = sum_u exp(-|x - y|^2 / (u * sigma))

        quadratic = mean_{i != j} k(s_i, s_j) + mean_{i != j} k(t_i, t_j)
                    - 2 * mean_{i, j} k(s_i, t_j)

        linear    = mean_i [ k(s_2i, s_2i+1) + k(t_2i, t_2i+1)
                             - k(s_2i, t_2i+1) - k(s_2i+1, t_2i) ]

    where sigma is the mean squared distance over all distinct pairs of the n + m
    samples; it receives no gradient. Both estimates are unbiased and may therefore be
    negative. The quadratic one takes O((n + m)^2) memory. The linear one takes
    O((n + m) D), bandwidth included, and ignores samples beyond the largest even number
    that both sides have. It assumes samples in random order.

    The loss is exactly 0, with a graph, if a side has fewer than two samples or if all
    samples are the same. In distributed runs, each rank computes it from its own
    samples: the average over ranks is not the estimate on the joint batch.

    The paper does not specify the kernels, the estimate, and what a sample is (an
    image's pooled feature, or every position).

    Args:
        multipliers (Sequence[float]): The factors u of the bandwidth. Defaults to
            (0.25, 0.5, 1.0, 2.0, 4.0).
        estimate (str): 'quadratic' or 'linear'. Defaults to 'quadratic'.
    """

    def __init__(
        self,
        multipliers: Sequence[float] = (0.25, 0.5, 1.0, 2.0, 4.0),
        estimate: str = "quadratic",
    ) -> None:
        super().__init__()
        if not multipliers or min(multipliers) <= 0:
            raise ValueError(
                f"multipliers must be one or more positive numbers, got {multipliers}"
            )
        if estimate not in ("quadratic", "linear"):
            raise ValueError(
                f"estimate must be 'quadratic' or 'linear', got {estimate!r}"
            )
        self.multipliers = tuple(multipliers)
        self.estimate = estimate

    def forward(self, source: Tensor, target: Tensor) -> Tensor:
        """Compute the loss.

        Args:
            source (Tensor): Features of the source samples, shape (n, D).
            target (Tensor): Features of the target samples, shape (m, D).

        Returns:
            Tensor: The loss, a scalar.
        """
        if source.dim() != 2 or target.dim() != 2 or source.size(1) != target.size(1):
            raise ValueError(
                "source and target must be of shapes (n, D) and (m, D), got "
                f"{tuple(source.shape)} and {tuple(target.shape)}"
            )
        if min(len(source), len(target)) < 2:
            return empty_sum(source, target)
        with full_precision(source):
            source, target = promote(source), promote(target)
            sigma = mean_squared_distance(source.detach(), target.detach())
            some_spread = sigma > 0
            sigma = torch.where(some_spread, sigma, torch.ones_like(sigma))
            loss = getattr(self, f"_{self.estimate}")(source, target, sigma)
            return torch.where(some_spread, loss, loss * 0)

    def _kernel(self, squared: Tensor, sigma: Tensor) -> Tensor:
        scaled = squared / sigma  # before u, which could make the product underflow
        return total(torch.exp(scaled / -u) for u in self.multipliers)

    def _quadratic(self, source: Tensor, target: Tensor, sigma: Tensor) -> Tensor:
        def within(x: Tensor) -> Tensor:
            kernel = self._kernel(squared_distances(x, x), sigma)
            others = kernel.sum() - kernel.diagonal().sum()
            return others / (len(x) * (len(x) - 1))

        across = self._kernel(squared_distances(source, target), sigma).mean()
        return within(source) + within(target) - 2 * across

    def _linear(self, source: Tensor, target: Tensor, sigma: Tensor) -> Tensor:
        used = min(len(source), len(target)) // 2 * 2
        s0, s1 = source[0:used:2], source[1:used:2]
        t0, t1 = target[0:used:2], target[1:used:2]

        def kernel(x: Tensor, y: Tensor) -> Tensor:
            return self._kernel((x - y).square().sum(1), sigma)

        h = kernel(s0, s1) + kernel(t0, t1) - kernel(s0, t1) - kernel(s1, t0)
        return h.mean()
