import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from .numerics import full_precision, promote


def pool_parts(
    maps: Tensor, kind: str = "lse", share: float = 0.1, masks: Tensor | None = None
) -> Tensor:
    """Pool part-aware class activation maps to one logit per joint.

    The abstract of Xu et al., "Location-free Human Pose Estimation", CVPR 2022, on
    which this is based, leaves open how. Over the N positions i of a joint's map m:

    - ``'mean'``: the mean, as in Zhou et al., "Learning Deep Features for
      Discriminative Localization", CVPR 2016. It prefers broad maps.
    - ``'topk'``: the mean of the highest ``share`` of the positions, at least one.
    - ``'lse'``: log(1 / N sum_i exp(m_i)), between the mean and the maximum (Pinheiro
      and Collobert, "From Image-level to Pixel-level Labeling with Convolutional
      Networks", CVPR 2015).
    - ``'mass'``: the map is a distribution over the positions and "nowhere", whose
      logit is 0. The probability that a part of the image shows the joint is the mass
      inside it; the result is its logit. With g_i the share of cell i that is inside::

          p = sum_i g_i exp(m_i) / (1 + sum_i exp(m_i))

      What a part does not show thus raises the map everywhere else. This kind alone can
      classify parts of an image.

    Args:
        maps (Tensor): Maps (B, K, h, w).
        kind (str): ``'mean'``, ``'topk'``, ``'lse'``, or ``'mass'``. Defaults to
            ``'lse'``.
        share (float): Share of the positions for ``'topk'``. Defaults to 0.1.
        masks (Tensor, optional): The share g of each cell that is inside each of R
            parts (B, R, h, w); see :func:`region_masks`. Defaults to None: the whole
            image.

    Returns:
        Tensor: Logits (B, K), or with ``masks`` (B, R, K).

    Raises:
        ValueError: If ``kind`` is unknown, ``share`` is not in (0, 1], or there are
            ``masks`` and ``kind`` is not ``'mass'``.
    """
    if not 0 < share <= 1:
        raise ValueError(f"pool.share must be in (0, 1], but is {share}")
    if kind not in ("mean", "topk", "lse", "mass"):
        raise ValueError(
            f"pool.kind must be 'mean', 'topk', 'lse', or 'mass', not {kind!r}"
        )
    if masks is not None:
        if kind != "mass":
            raise ValueError(
                "the part labels are those of parts of the image, which MarkPartCrops "
                f"marks; they need pool.kind='mass', not {kind!r}"
            )
        return _mass_logits(maps, masks)
    values = maps.flatten(2)
    count = values.shape[-1]
    if kind == "mean":
        return values.mean(-1)
    if kind == "topk":
        return values.topk(max(1, round(share * count)), dim=-1).values.mean(-1)
    pooled = torch.logsumexp(values, dim=-1)
    return pooled if kind == "mass" else pooled - math.log(count)


def _mass_logits(maps: Tensor, masks: Tensor) -> Tensor:
    """Return the logits (B, R, K) of the mass of maps inside masks."""
    with full_precision(maps):
        values = F.pad(promote(maps).flatten(2), (0, 1))  # nowhere
        mass = values.softmax(-1).transpose(1, 2)  # (B, N + 1, K)
        shares = F.pad(masks.to(mass).flatten(2), (0, 1))
        tiny = torch.finfo(mass.dtype).tiny
        inside = (shares @ mass).clamp(min=tiny)
        outside = ((1 - shares) @ mass).clamp(min=tiny)
        return inside.log() - outside.log()


def region_masks(
    regions: Tensor,
    size: Sequence[int],
    stride: Sequence[float] | Tensor,
    offset: Sequence[float] | Tensor = (0.0, 0.0),
    samples: int | None = None,
) -> Tensor:
    """Compute which share of each cell of a grid is inside each part of an image.

    Args:
        regions (Tensor): Parts (B, R, 2, 3), as matrices from pixels to the unit
            square; see :class:`~mmpose_da.datasets.MarkPartCrops`.
        size (Sequence[int]): Height h and width w of the grid.
        stride (Sequence[float] | Tensor): Pixels per cell, in x and y.
        offset (Sequence[float] | Tensor): The pixel (x, y) at the center of the first
            cell. Defaults to (0.0, 0.0).
        samples (int, optional): Points per cell and axis at which the share is
            measured. Defaults to None: up to 4, and about 128 along an axis of the
            grid, which bounds the memory.

    Returns:
        Tensor: Shares (B, R, h, w) in [0, 1].
    """
    regions = promote(regions)
    if samples is None:
        samples = min(4, max(1, 128 // max(size)))
    stride, offset = (
        torch.as_tensor(value, dtype=regions.dtype, device=regions.device)
        for value in (stride, offset)
    )
    axes = []
    for axis, count in enumerate((size[1], size[0])):
        index = torch.arange(count * samples, device=regions.device)
        cells = (index.to(regions) + 0.5) / samples - 0.5
        axes.append(cells * stride[axis] + offset[axis])
    x, y = axes
    with full_precision(regions):
        # (B, R, 2, rows, columns)
        square = (
            regions[..., 0, None, None] * x
            + regions[..., 1, None, None] * y[:, None]
            + regions[..., 2, None, None]
        )
        inside = ((square >= 0) & (square <= 1)).all(2).to(regions)
        return F.avg_pool2d(inside, samples)
