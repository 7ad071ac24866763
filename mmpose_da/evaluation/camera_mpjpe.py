from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from mmpose.evaluation.metrics import MPJPE
from mmpose.registry import METRICS


@METRICS.register_module()
class CameraMPJPE(MPJPE):
    """MPJPE in millimeters of joints that are predicted in image pixels.

    A prediction has x and y in the image and a depth relative to the root in the same
    unit (weak perspective). The camera and the depth of the root, both from the labels,
    turn it into millimeters, as is usual where a crop cannot tell the scale (Sun et
    al., "Integral Human Pose Regression", ECCV 2018)::

        Z = Z_root (1 + depth / f)    X = (x - cx) Z / fx    Y = (y - cy) Z / fy

    Prediction and labels are then aligned at the root. All joints count, also those
    outside the image. In addition to the metric of MMPose, over all samples, there is
    one for each action if the file names are those of Human3.6M
    (``S9_Walking.54138969_000001.jpg``).

    Args:
        root (str): Name of the root joint. Defaults to ``'root'``.
        kwargs: See :class:`mmpose.evaluation.metrics.MPJPE`; ``mode='mpjpe'`` or
            ``'p-mpjpe'``, which is called PA-MPJPE as well.
    """

    def __init__(self, *args: Any, root: str = "root", **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.root = root

    def process(self, data_batch: Sequence[dict], data_samples: Sequence[dict]) -> None:
        """Process a batch of predictions.

        Args:
            data_batch (Sequence[dict]): Not used.
            data_samples (Sequence[dict]): Samples with ``pred_instances.keypoints``
                (1, K, 3), ``gt_instances.keypoints_cam`` (1, K, 3), and ``camera``.

        Raises:
            ValueError: If a sample has no camera or no 3D labels.
        """
        root = self.dataset_meta["keypoint_name2id"][self.root]
        for sample in data_samples:
            truth = sample["gt_instances"].get("keypoints_cam")
            camera = sample.get("camera")
            if truth is None or camera is None:
                raise ValueError(
                    f"sample {sample.get('id')} has no 3D labels or no camera; the "
                    "dataset must be a Pose3dDataset with both, and PackPoseInputs "
                    "needs 'camera' in its meta_keys"
                )
            found = to_camera(
                sample["pred_instances"]["keypoints"], camera, truth[:, root, 2]
            )
            relative = [
                joints - joints[:, root : root + 1] for joints in (found, truth)
            ]
            self.results.append(
                dict(
                    pred_coords=relative[0],
                    gt_coords=relative[1],
                    mask=np.ones(truth.shape[:2], bool),
                    actions=np.array([_action(sample.get("img_path", ""))]),
                )
            )

    def compute_metrics(self, results: list) -> dict[str, float]:
        """Compute the metrics; a single action without a name is left out."""
        metrics = super().compute_metrics(results)
        return {
            name: float(value)
            for name, value in metrics.items()
            if not name.endswith(f"_{_UNNAMED}")
        }


_UNNAMED = "all"


def _action(path: str) -> str:
    """The action in a file name of Human3.6M, or a stand-in for other names."""
    name = path.rpartition("/")[2].partition(".")[0]
    subject, _, action = name.partition("_")
    return action if action and subject[:1] == "S" else _UNNAMED


def to_camera(
    keypoints: np.ndarray, camera: Sequence[float], root_depth: np.ndarray
) -> np.ndarray:
    """Turn joints in image pixels into millimeters in the frame of the camera.

    Args:
        keypoints (np.ndarray): Joints (N, K, 3): x and y in pixels, and a depth
            relative to the root in pixels (weak perspective).
        camera (Sequence[float]): ``(fx, fy, cx, cy)`` in pixels.
        root_depth (np.ndarray): Z of the roots (N,) in millimeters.

    Returns:
        np.ndarray: Joints (N, K, 3) in millimeters.
    """
    fx, fy, cx, cy = camera
    z = root_depth[:, None] * (1 + keypoints[..., 2] / np.sqrt(fx * fy))
    x = (keypoints[..., 0] - cx) * z / fx
    y = (keypoints[..., 1] - cy) * z / fy
    return np.stack([x, y, z], axis=-1)
