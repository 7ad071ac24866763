from collections.abc import Sequence

import numpy as np
from mmpose.codecs.base import BaseKeypointCodec
from mmpose.registry import KEYPOINT_CODECS
from mmpose.utils.tensor_utils import to_numpy
from torch import Tensor


@KEYPOINT_CODECS.register_module()
class MarginalHeatmap(BaseKeypointCodec):
    """Joints in a box around the root, for three marginal heatmaps.

    Nibali et al., "3D Human Pose Estimation with 2D Marginal Heatmaps", WACV 2019, as
    used in Sec. 4.2 of Zhang et al., "Monocular 3D Human Pose Estimation with Domain
    Feature Alignment and Self Training". A grid of (w, h, d) cells covers the input
    image and a range of depth. In x and y a point is given by 0-based centers of
    pixels; z is relative to the root, in the same unit (weak perspective). Normalized
    coordinates are from -1 to 1 over the grid::

        x' = (2 x + 1) / W - 1      y' = (2 y + 1) / H - 1      z' = 2 z / depth_range

    Only they are encoded. The head makes the dense maps, on its own device; see
    :mod:`mmpose_da.models.layers.marginal_heatmaps` for their planes.

    Note that z = 0 is the middle of the d cells: between two of them if d is even.

    Args:
        input_size (Sequence[int]): Width W and height H of the input in pixels.
        heatmap_size (Sequence[int]): Number of cells (w, h, d).
        depth_range (float, optional): Extent in input pixels that the d cells cover,
            half of it on either side of the root. Defaults to None: the input's width.
        sigma (float): Standard deviation of the maps' Gaussians in cells. Defaults to
            1.0.

    Raises:
        ValueError: A size, the range or sigma is not positive, or a size has another
            number of axes.
    """

    auxiliary_encode_keys = {
        "depth",
        "transformed_depth",
        "transformed_depth_visible",
    }
    label_mapping_table = dict(
        keypoint_labels="keypoint_labels",
        keypoint_weights="keypoint_weights",
        depth_weights="depth_weights",
    )

    def __init__(
        self,
        input_size: Sequence[int],
        heatmap_size: Sequence[int],
        depth_range: float | None = None,
        sigma: float = 1.0,
    ) -> None:
        super().__init__()
        self.input_size = _size("input_size", "(W, H)", input_size)
        self.heatmap_size = _size("heatmap_size", "(w, h, d)", heatmap_size)
        width, height = self.input_size
        self.depth_range = float(width if depth_range is None else depth_range)
        self.sigma = float(sigma)
        for name in ("depth_range", "sigma"):
            if not 0 < getattr(self, name) < np.inf:
                raise ValueError(f"{name} must be positive, got {getattr(self, name)}")
        # normalized = (pixels - center) / half
        self.center = np.array([(width - 1) / 2, (height - 1) / 2, 0])
        self.half = np.array([width, height, self.depth_range]) / 2

    def encode(
        self,
        keypoints: np.ndarray,
        keypoints_visible: np.ndarray | None = None,
        transformed_depth: np.ndarray | None = None,
        transformed_depth_visible: np.ndarray | None = None,
        depth: np.ndarray | None = None,
    ) -> dict[str, np.ndarray]:
        """Encode keypoints as normalized coordinates with weights.

        Args:
            keypoints (np.ndarray): Keypoints (N, K, 2) in input pixels, or (N, K, 3)
                with the depth as a third column.
            keypoints_visible (np.ndarray, optional): Visibilities (N, K), which become
                weights. Defaults to None: all 1.
            transformed_depth (np.ndarray, optional): z (N, K), relative to the root, in
                input pixels. Defaults to None: the third column, or no depth at all.
            transformed_depth_visible (np.ndarray, optional): Visibilities of z alone
                (N, K). Defaults to None: all 1.
            depth (np.ndarray, optional): z in image pixels, which is only checked to
                have been transformed. Defaults to None.

        Returns:
            dict[str, np.ndarray]: In float32,

            - ``keypoint_labels``: Normalized coordinates (N, K, 3). Whatever is not a
              finite number is 0, and so is a z that does not exist.
            - ``keypoint_weights``: Weights (N, K), 0 outside the grid in x or y.
            - ``depth_weights``: Factors (N, K) of those weights for the planes with z,
              0 outside the grid in z and without depth.

        Raises:
            ValueError: An array has another shape, or there is a depth in image pixels
                alone.
        """
        if depth is not None and transformed_depth is None:
            raise ValueError(
                "the depth is in image pixels, but the labels need it in input pixels: "
                "put dict(type='TransformDepth') between TopdownAffine and "
                "GenerateTarget"
            )
        if keypoints.ndim != 3 or keypoints.shape[-1] not in (2, 3):
            raise ValueError(
                "keypoints must be of shape (N, K, 2) or (N, K, 3), got "
                f"{keypoints.shape}"
            )
        if transformed_depth is not None:
            if transformed_depth.shape != keypoints.shape[:2]:
                raise ValueError(
                    f"transformed_depth must be of shape {keypoints.shape[:2]}, got "
                    f"{transformed_depth.shape}"
                )
            keypoints = np.concatenate(
                [keypoints[..., :2], transformed_depth[..., None]], axis=-1
            )
        shape, axes = keypoints.shape[:2], keypoints.shape[-1]
        given = (keypoints - self.center[:axes]) / self.half[:axes]
        labels = np.zeros((*shape, 3))
        labels[..., :axes] = np.where(np.isfinite(given), given, 0)
        inside = np.zeros((*shape, 3), dtype=bool)
        inside[..., :axes] = np.abs(given) <= 1  # false for NaN
        return dict(
            keypoint_labels=labels.astype(np.float32),
            keypoint_weights=_weights(
                "keypoints_visible", keypoints_visible, inside[..., :2].all(-1)
            ),
            depth_weights=_weights(
                "transformed_depth_visible", transformed_depth_visible, inside[..., 2]
            ),
        )

    def decode(
        self, encoded: np.ndarray, scores: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Decode normalized coordinates, for all instances at once.

        Args:
            encoded (np.ndarray): Normalized coordinates (N, K, 3).
            scores (np.ndarray, optional): Scores (N, K). Defaults to None: all 1.

        Returns:
            tuple[np.ndarray, np.ndarray]: Keypoints (N, K, 3) in input pixels, z
            relative to the root in the same unit, and scores (N, K).

        Raises:
            ValueError: An array has another shape.
        """
        if encoded.ndim != 3 or encoded.shape[-1] != 3:
            raise ValueError(f"encoded must be of shape (N, K, 3), got {encoded.shape}")
        if scores is None:
            scores = np.ones(encoded.shape[:2], dtype=np.float32)
        if scores.shape != encoded.shape[:2]:
            raise ValueError(
                f"scores must be of shape {encoded.shape[:2]}, got {scores.shape}"
            )
        return encoded * self.half + self.center, scores

    def batch_decode(
        self, coordinates: Tensor, scores: Tensor
    ) -> tuple[list[np.ndarray], list[np.ndarray]]:
        """Decode a batch of B images with one instance each.

        Args:
            coordinates (Tensor): Normalized coordinates (B, K, 3).
            scores (Tensor): Scores (B, K).

        Returns:
            tuple[list[np.ndarray], list[np.ndarray]]: For each image keypoints
            (1, K, 3) and scores (1, K), as from :meth:`decode`.
        """
        keypoints, values = self.decode(to_numpy(coordinates), to_numpy(scores))
        return list(keypoints[:, None]), list(values[:, None])


def _size(name: str, axes: str, size: Sequence[int]) -> tuple[int, ...]:
    """Check a size, as many positive integers as there are axes."""
    values = tuple(size)
    if len(values) != axes.count(",") + 1 or any(
        value < 1 or value != int(value) for value in values
    ):
        raise ValueError(f"{name} must be positive integers {axes}, got {values}")
    return tuple(int(value) for value in values)


def _weights(name: str, visible: np.ndarray | None, inside: np.ndarray) -> np.ndarray:
    """Visibilities (N, K), 0 where a joint is not inside."""
    if visible is None:
        visible = np.ones(inside.shape)
    if visible.shape != inside.shape:
        raise ValueError(f"{name} must be of shape {inside.shape}, got {visible.shape}")
    return np.where(inside, visible, 0).astype(np.float32)
