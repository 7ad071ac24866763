from __future__ import annotations

from collections.abc import Sequence

import numpy as np


class PlausiblePoses:
    """How long limbs are in a set of poses, relative to each other.

    The length of a limb is divided by the median length of the limbs of the pose. A
    limb is plausible if this ratio is between two quantiles of those in the given
    poses. Limbs that no given pose has are ignored.

    Args:
        poses (np.ndarray): Poses (N, K, 2) in pixels, not finite where a joint is
            unknown.
        limbs (Sequence[tuple[int, int]]): Pairs of joints.
        share (float): Share of the given poses in which a limb is plausible. Defaults
            to 0.98.

    Raises:
        ValueError: If there are no limbs, or no pose has any.
    """

    def __init__(
        self,
        poses: np.ndarray,
        limbs: Sequence[tuple[int, int]],
        share: float = 0.98,
    ) -> None:
        if not len(limbs):
            raise ValueError("there are no limbs: the joint definition has no skeleton")
        pairs = np.array(limbs)
        first, second = (np.isfinite(poses[:, joints]).all(-1) for joints in pairs.T)
        self.limbs = pairs[(first & second).any(0)]
        if not len(self.limbs):
            raise ValueError("no pose has a limb of the skeleton")
        ratios = self._ratios(poses)
        tail = (1 - share) / 2
        self.low, self.high = np.nanquantile(ratios, [tail, 1 - tail], axis=0)

    def __call__(self, poses: np.ndarray) -> np.ndarray:
        """Return which limbs (N, L) of poses (N, K, 2) are plausible."""
        ratios = self._ratios(poses)
        return (ratios >= self.low) & (ratios <= self.high)

    def _ratios(self, poses: np.ndarray) -> np.ndarray:
        first, second = (poses[:, joints] for joints in self.limbs.T)
        lengths = np.linalg.norm(first - second, axis=-1)
        lengths[~np.isfinite(lengths)] = np.nan
        known = np.isfinite(lengths).any(1, keepdims=True)
        median = np.nanmedian(np.where(known, lengths, 1), axis=1, keepdims=True)
        return lengths / np.maximum(median, 1e-6)
