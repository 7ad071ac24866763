from collections.abc import Sequence

import numpy as np
from mmpose.codecs.base import BaseKeypointCodec
from mmpose.registry import KEYPOINT_CODECS
from mmpose.utils.tensor_utils import to_numpy
from torch import Tensor


@KEYPOINT_CODECS.register_module()
class PartLabels(BaseKeypointCodec):
    """Which joints a crop shows, and where they are.

    The labels of Xu et al., "Location-free Human Pose Estimation", CVPR 2022. Joints
    that are labeled and inside the crop have part label 1, all others 0. The codec
    makes these labels for people whose positions are known. The part labels of people
    without positions come from their dataset; see
    :class:`~mmpose_da.datasets.MixedDomainDataset`.

    Positions are 0-based centers of pixels. Maps of h x w cells cover the input of
    H x W pixels exactly, whatever their stride, so that the mirror image of a map is
    the map of the mirror image. In normalized coordinates, which go from -1 to 1::

        x' = (2 x + 1) / W - 1      y' = (2 y + 1) / H - 1

    the center of cell (j, i) is at ((2 j + 1) / w - 1, (2 i + 1) / h - 1). The head
    makes the maps. ``TopdownAffine`` must not have ``use_udp``.

    Args:
        input_size (Sequence[int]): Width W and height H of the input in pixels.

    Raises:
        ValueError: If ``input_size`` is not two positive integers.
    """

    auxiliary_encode_keys = {"keypoints_visible_weights"}
    label_mapping_table = dict(
        keypoint_labels="keypoint_labels",
        keypoint_weights="keypoint_weights",
        part_labels="part_labels",
        part_weights="part_weights",
    )

    def __init__(self, input_size: Sequence[int]) -> None:
        super().__init__()
        size = tuple(input_size)
        if len(size) != 2 or any(side < 1 or side != int(side) for side in size):
            raise ValueError(f"input_size must be positive integers (W, H), got {size}")
        self.input_size = int(size[0]), int(size[1])

    def encode(
        self,
        keypoints: np.ndarray,
        keypoints_visible: np.ndarray | None = None,
        keypoints_visible_weights: np.ndarray | None = None,
    ) -> dict[str, np.ndarray]:
        """Encode keypoints as part labels and normalized coordinates.

        Args:
            keypoints (np.ndarray): Keypoints (N, K, 2) in input pixels.
            keypoints_visible (np.ndarray, optional): Visibilities (N, K), above 0 for
                labeled joints. Defaults to None: all 1.
            keypoints_visible_weights (np.ndarray, optional): Weights (N, K), 0 for
                joints that the dataset does not provide, whose part labels are unknown.
                Defaults to None: all 1.

        Returns:
            dict[str, np.ndarray]: In float32,

            - ``keypoint_labels``: Normalized coordinates (N, K, 2), 0 where they are
              not finite.
            - ``keypoint_weights``: Visibilities (N, K), 0 outside the input.
            - ``part_labels``: 1 for labeled joints inside the input, else 0 (N, K).
            - ``part_weights``: Weights (N, K) of the part labels.
        """
        size = np.array(self.input_size)
        finite = np.isfinite(keypoints).all(-1)
        inside = finite & ((keypoints >= 0) & (keypoints <= size - 1)).all(-1)
        ones = np.ones(keypoints.shape[:2])
        visible = ones if keypoints_visible is None else keypoints_visible
        known = ones if keypoints_visible_weights is None else keypoints_visible_weights
        normalized = (2 * np.where(finite[..., None], keypoints, 0) + 1) / size - 1
        encoded = dict(
            keypoint_labels=np.where(finite[..., None], normalized, 0),
            keypoint_weights=np.where(inside, visible, 0),
            part_labels=inside & (visible > 0),
            part_weights=known,
        )
        return {key: value.astype(np.float32) for key, value in encoded.items()}

    def decode(
        self, encoded: np.ndarray, scores: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Decode normalized coordinates.

        Args:
            encoded (np.ndarray): Normalized coordinates (N, K, 2).
            scores (np.ndarray, optional): Scores (N, K). Defaults to None: all 1.

        Returns:
            tuple[np.ndarray, np.ndarray]: Keypoints (N, K, 2) in input pixels, and
            scores (N, K).
        """
        keypoints = ((encoded + 1) * np.array(self.input_size) - 1) / 2
        if scores is None:
            scores = np.ones(encoded.shape[:2], dtype=np.float32)
        return keypoints, scores

    def batch_decode(
        self, coordinates: Tensor, scores: Tensor
    ) -> tuple[list[np.ndarray], list[np.ndarray]]:
        """Decode a batch of B images with one instance each.

        Args:
            coordinates (Tensor): Normalized coordinates (B, K, 2).
            scores (Tensor): Scores (B, K).

        Returns:
            tuple[list[np.ndarray], list[np.ndarray]]: For each image keypoints
            (1, K, 2) and scores (1, K).
        """
        keypoints, values = self.decode(to_numpy(coordinates), to_numpy(scores))
        return list(keypoints[:, None]), list(values[:, None])
