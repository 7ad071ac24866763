from __future__ import annotations

import numpy as np
from mmpose.datasets.datasets.base import BaseCocoStyleDataset
from mmpose.registry import DATASETS


@DATASETS.register_module()
class Pose3dDataset(BaseCocoStyleDataset):
    """People with 3D joints, in COCO format with the joints of Human3.6M.

    An annotation has ``keypoints`` as in COCO (17 joints, 0-based pixels) and,
    optionally, ``keypoints_3d``: ``[X1, Y1, Z1, ..., X17, Y17, Z17]`` in millimeters,
    in the frame of the camera (x right, y down, z forward). Its image has ``camera``,
    the focal lengths and the center in pixels, ``[fx, fy, cx, cy]``. Both are needed to
    have depth. A person without 3D joints has 2D labels only.

    The depth of a joint is relative to the root and in image pixels, under weak
    perspective at the depth of the root::

        depth = (Z - Z_root) * f / Z_root,    f = sqrt(fx fy)

    so that x, y, and depth have one unit. Joints of other definitions (SMPL and the
    like) map to these 17 as the converters' documentation says.

    A sample has these keys in addition to those of MMPose's datasets, if it has depth:

    - ``depth`` (1, K): float32, image pixels
    - ``depth_visible`` (1, K): float32, 1 where depth is known
    - ``keypoints_cam`` (1, K, 3): float32, millimeters in the camera frame
    - ``camera``: tuple ``(fx, fy, cx, cy)`` in pixels
    """

    METAINFO: dict = dict(from_file="configs/_base_/datasets/h36m.py")

    def parse_data_info(self, raw_data_info: dict) -> dict | None:
        """Parse an annotation, with its depth."""
        info = super().parse_data_info(raw_data_info)
        annotation = raw_data_info["raw_ann_info"]
        if info is None or "keypoints_3d" not in annotation:
            return info
        count = self.metainfo["num_keypoints"]
        name = f"annotation {annotation['id']} in '{self.ann_file}'"
        camera = raw_data_info["raw_img_info"].get("camera")
        if camera is None:
            raise ValueError(
                f"{name} has keypoints_3d, but its image has no camera; give it "
                "[fx, fy, cx, cy] in pixels, or remove the keypoints_3d to train with "
                "its 2D joints alone"
            )
        joints = np.asarray(annotation["keypoints_3d"], np.float64)
        if joints.size != 3 * count or not np.isfinite(joints).all():
            raise ValueError(
                f"{name} has keypoints_3d that are not 3 x {count} finite numbers"
            )
        joints = joints.reshape(count, 3)
        if np.shape(camera) != (4,) or not np.isfinite(camera).all():
            raise ValueError(
                f"the image of {name} has camera={camera}, which must be [fx, fy, cx, "
                "cy]"
            )
        root = joints[self.metainfo["keypoint_name2id"]["root"], 2]
        if root <= 0:
            raise ValueError(f"{name} has a root behind the camera, at Z={root:g} mm")
        focal = np.sqrt(camera[0] * camera[1])
        depth = (joints[:, 2] - root) * focal / root
        return dict(
            info,
            depth=depth[None].astype(np.float32),
            depth_visible=np.ones((1, count), np.float32),
            keypoints_cam=joints[None].astype(np.float32),
            camera=tuple(float(value) for value in camera),
        )
