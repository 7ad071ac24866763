from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from copy import copy
from typing import Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from mmpose.registry import VISUALIZERS
from mmpose.structures import PoseDataSample
from mmpose.visualization import Pose3dLocalVisualizer

#: Largest extent of a drawn person; MMPose's axes show 1.7 units.
EXTENT = 1.6


@VISUALIZERS.register_module()
class CameraPoseVisualizer(Pose3dLocalVisualizer):
    """MMPose's 3D visualizer for poses in the frame of the camera.

    It draws the pose over the image, and beside it in 3D, seen from the camera, turned
    by 20 degrees. ``Pose3dLocalVisualizer`` expects meters, with the z-axis up, so each
    person is turned and scaled to a fixed size. It also works with MMPose's
    visualization hook and Matplotlib 3.10 and later, which its parent class does not.

    Args:
        kwargs: See :class:`mmpose.visualization.Pose3dLocalVisualizer`.
    """

    def add_datasample(
        self,
        name: str,
        image: np.ndarray,
        data_sample: PoseDataSample,
        draw_heatmap: bool = False,
        **kwargs: Any,
    ) -> np.ndarray:
        """Draw a sample.

        Args:
            name (str): Name of the picture.
            image (np.ndarray): The image (h, w, 3), RGB.
            data_sample (PoseDataSample): With predicted ``keypoints`` (N, K, 3), x and
                y in image pixels and the depth relative to the root.
            draw_heatmap (bool): Ignored: there are no 2D heatmaps. Defaults to False.
            kwargs: See ``Pose3dLocalVisualizer``. ``draw_gt`` needs a ground truth in
                its format, and is False by default.

        Returns:
            np.ndarray: The picture (h, w, 3), RGB.
        """
        kwargs = dict(dict(draw_gt=False), **kwargs, convert_keypoint=False)
        return super().add_datasample(
            name, image, data_sample, det_data_sample=data_sample, **kwargs
        )

    def _draw_3d_data_samples(
        self, image: np.ndarray, pose_samples: PoseDataSample, **kwargs: Any
    ) -> np.ndarray:
        sample = copy(pose_samples)
        if "pred_instances" in sample:
            sample.pred_instances = found = sample.pred_instances.clone()
            found.keypoints = np.stack([upright(pose) for pose in found.keypoints])
        with _tostring_rgb():
            return super()._draw_3d_data_samples(image, sample, **kwargs)


def upright(pose: np.ndarray) -> np.ndarray:
    """Turn a pose (K, 3) of the camera's frame so that z points up, on a floor at 0.

    The largest of its extents becomes :data:`EXTENT`.
    """
    turned = -np.asarray(pose, float)[:, [0, 2, 1]]
    turned *= EXTENT / max(np.ptp(turned, axis=0).max(), 1e-9)
    return turned - [0, 0, turned[:, 2].min()]


@contextmanager
def _tostring_rgb() -> Iterator[None]:
    """Provide the method that Matplotlib 3.10 removed and MMPose calls."""
    if hasattr(FigureCanvasAgg, "tostring_rgb"):
        yield
        return

    def tostring_rgb(canvas: FigureCanvasAgg) -> bytes:
        return np.asarray(canvas.buffer_rgba())[..., :3].tobytes()

    setattr(FigureCanvasAgg, "tostring_rgb", tostring_rgb)  # noqa: B010 - for mypy
    try:
        yield
    finally:
        delattr(FigureCanvasAgg, "tostring_rgb")
