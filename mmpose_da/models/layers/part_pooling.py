import math

import torch
from torch import Tensor


def pool_parts(maps: Tensor, kind: str = "lse", share: float = 0.1) -> Tensor:
    """Pool part-aware class activation maps to one logit per joint.

    The abstract of Xu et al., "Location-free Human Pose Estimation", CVPR 2022, on
    which this is based, leaves open how. Over the N positions i of a joint's map m:

    - ``'mean'``: the mean, as in Zhou et al., "Learning Deep Features for
      Discriminative Localization", CVPR 2016. It prefers broad maps.
    - ``'topk'``: the mean of the highest ``share`` of the positions, at least one.
    - ``'lse'``: log(1 / N sum_i exp(m_i)), between the mean and the maximum (Pinheiro
      and Collobert, "From Image-level to Pixel-level Labeling with Convolutional
      Networks", CVPR 2015).

    Args:
        maps (Tensor): Maps (B, K, h, w).
        kind (str): ``'mean'``, ``'topk'``, or ``'lse'``. Defaults to ``'lse'``.
        share (float): Share of the positions for ``'topk'``. Defaults to 0.1.

    Returns:
        Tensor: Logits (B, K).

    Raises:
        ValueError: If ``kind`` is unknown or ``share`` is not in (0, 1].
    """
    if not 0 < share <= 1:
        raise ValueError(f"pool.share must be in (0, 1], but is {share}")
    values = maps.flatten(2)
    count = values.shape[-1]
    if kind == "mean":
        return values.mean(-1)
    if kind == "topk":
        return values.topk(max(1, round(share * count)), dim=-1).values.mean(-1)
    if kind == "lse":
        return torch.logsumexp(values, dim=-1) - math.log(count)
    raise ValueError(f"pool.kind must be 'mean', 'topk', or 'lse', not {kind!r}")
