"""The depth of joints, on its way from an annotation to the codec."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from mmcv.transforms import BaseTransform
from mmpose.registry import TRANSFORMS


@TRANSFORMS.register_module()
class DepthConverter(BaseTransform):
    """Maps depth to other joints, as MMPose's ``KeypointConverter`` maps keypoints.

    A sample without depth stays without.

    Required Keys:

        - depth, depth_visible (optional)

    Modified Keys:

        - depth, depth_visible

    Args:
        num_keypoints (int): Number K of joints to map to.
        mapping (Sequence): Pairs of a given index, or of two whose midpoint is taken,
            and a wanted index.
    """

    def __init__(self, num_keypoints: int, mapping: Sequence) -> None:
        self.num_keypoints = num_keypoints
        pairs = [
            (given if isinstance(given, (tuple, list)) else (given, given), wanted)
            for given, wanted in mapping
        ]
        self.first = [first for (first, _), _ in pairs]
        self.second = [second for (_, second), _ in pairs]
        self.wanted = [wanted for _, wanted in pairs]

    def transform(self, results: dict) -> dict:
        """Map the depth of a sample.

        Args:
            results (dict): The sample.

        Returns:
            dict: The sample.
        """
        if "depth" not in results:
            return results
        given, known = results["depth"], results["depth_visible"]
        shape = len(given), self.num_keypoints
        depth, visible = np.zeros(shape, np.float32), np.zeros(shape, np.float32)
        depth[:, self.wanted] = (given[:, self.first] + given[:, self.second]) / 2
        visible[:, self.wanted] = known[:, self.first] * known[:, self.second]
        return dict(results, depth=depth, depth_visible=visible)


@TRANSFORMS.register_module()
class TransformDepth(BaseTransform):
    """Converts depth from image pixels to input pixels; put it after the affine.

    Depth scales with the crop, and left and right swap with a mirrored image. Rotations
    in the image plane do not change it. A sample without depth stays without.

    Required Keys:

        - bbox_scale, input_size
        - flip, flip_indices (optional)
        - depth, depth_visible (optional)

    Added Keys:

        - transformed_depth, transformed_depth_visible (if there is depth)
    """

    def transform(self, results: dict) -> dict:
        """Convert the depth of a sample.

        Args:
            results (dict): The sample.

        Returns:
            dict: The sample.
        """
        if "depth" not in results:
            return results
        depth, visible = results["depth"], results["depth_visible"]
        if results.get("flip", False):
            order = list(results["flip_indices"])
            depth, visible = depth[:, order], visible[:, order]
        width, _ = results["input_size"]
        factor = width / results["bbox_scale"][:, :1]
        return dict(
            results,
            transformed_depth=(depth * factor).astype(np.float32),
            transformed_depth_visible=visible,
        )
