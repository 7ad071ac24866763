import torch
from torch import Tensor

#: Weight decay of the classifier, relative to the number of samples.
RIDGE = 0.1


def domain_confusion(first: Tensor, second: Tensor) -> float:
    """Compute how often a linear classifier mistakes the domain of features.

    A ridge regression that is fitted to every other sample classifies the rest, and the
    reverse. It is the proxy A-distance d of Ben-David et al., "Analysis of
    Representations for Domain Adaptation", NIPS 2006, as a score that is higher for
    closer domains: 1 - d / 2.

    Args:
        first (Tensor): Features (n, C) of one domain, n > 1.
        second (Tensor): Features (m, C) of the other, m > 1.

    Returns:
        float: The error rate, as a share of that of chance: 1 if the domains cannot be
        told apart, 0 if they are never mistaken.

    Raises:
        ValueError: If a domain has fewer than two samples.
    """
    if min(len(first), len(second)) < 2:
        raise ValueError(
            "features of each domain need two samples at least, but there are "
            f"{len(first)} and {len(second)}"
        )
    domains = [
        (features.double(), sign) for features, sign in ((first, 1), (second, -1))
    ]
    errors = []
    for fold in (0, 1):
        fitted = [(features[fold::2], sign) for features, sign in domains]
        weights, bias = _ridge(fitted)
        errors += [
            ((features[1 - fold :: 2] @ weights + bias) * sign <= 0).double().mean()
            for features, sign in domains
        ]
    return min(1.0, 2 * float(torch.stack(errors).mean()))


def _ridge(domains: list[tuple[Tensor, int]]) -> tuple[Tensor, Tensor]:
    """Return weights (C) and the bias of a classifier; domains count equally."""
    mean = torch.stack([features.mean(0) for features, _ in domains]).mean(0)
    total, target = mean.new_zeros(len(mean), len(mean)), torch.zeros_like(mean)
    for features, sign in domains:
        centered = features - mean
        total += centered.T @ centered / len(features)
        target += sign * centered.mean(0)
    scale = total.diagonal().clamp(min=1e-12).sqrt()
    normal = total / scale / scale[:, None]
    normal.diagonal().add_(RIDGE)
    weights = torch.linalg.solve(normal, target / scale) / scale
    return weights, -mean @ weights
