"""How crowded an image is, and the levels at which CrowdPose evaluates.

Li et al., "CrowdPose: Efficient Crowded Scenes Pose Estimation and a New Benchmark",
CVPR 2019, Section 4.1.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

#: Levels of the crowd index, and where each begins. The paper lets ``medium`` begin at
#: 0.1. These are the numbers of its evaluation code, and of MMPose's ``CocoMetric``.
LEVELS: dict[str, float] = dict(easy=0.0, medium=0.2, hard=0.8)


def crowd_index(boxes: ArrayLike, keypoints: ArrayLike) -> float:
    """Compute the crowd index of an image.

    It is the mean of ``a_i / b_i`` over the people i, where ``a_i`` is the number of
    other people's labeled joints in the box of i, and ``b_i`` the number of labeled
    joints of i. It may exceed 1, as in CrowdPose's annotations. The paper does not
    mention people without labeled joints; they are left out of the mean.

    Args:
        boxes (ArrayLike): (N, 4) x, y, width, and height of each person, in pixels. The
            edges belong to the box.
        keypoints (ArrayLike): (N, K, 3) x, y, and COCO's flag, which is 0 if the joint
            is not labeled.

    Returns:
        float: The index, 0 if nobody has a labeled joint.
    """
    boxes, keypoints = np.asarray(boxes, float), np.asarray(keypoints, float)
    low, extent = boxes[:, None, None, :2], boxes[:, None, None, 2:]
    points, labeled = keypoints[..., :2], keypoints[..., 2] > 0
    inside = ((points >= low) & (points <= low + extent)).all(axis=-1) & labeled
    # inside[i, j, k]: joint k of person j is in the box of person i.
    counts = inside.sum(axis=-1)
    others = counts.sum(axis=1) - counts.diagonal()
    own = labeled.sum(axis=1)
    return float(np.mean(others[own > 0] / own[own > 0])) if own.any() else 0.0


def level_shares(indices: Sequence[float]) -> dict[str, float]:
    """Return the share of images at each of ``LEVELS``, from their crowd indices."""
    starts = list(LEVELS.values())
    level = np.searchsorted(starts, indices, side="right") - 1
    counts = np.bincount(level, minlength=len(starts))
    return dict(zip(LEVELS, (counts / max(len(indices), 1)).tolist(), strict=True))
