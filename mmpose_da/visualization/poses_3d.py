"""Figures of 3D poses: as annotated and as predicted by several models."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from matplotlib.figure import Figure
from mmengine.dataset import BaseDataset
from mmpose.models.pose_estimators.base import BasePoseEstimator

from .paired_predictions import ANNOTATED, predict_people

TILE_INCHES = 1.9
#: Colors of bones by side, and the view of the 3D axes in degrees.
COLORS = dict(left="tab:orange", right="tab:blue", middle="tab:green")
VIEW = dict(elev=12, azim=-55)


def draw_poses_3d(
    models: Mapping[str, BasePoseEstimator],
    dataset: BaseDataset,
    num_people: int,
    path: str | Path,
) -> None:
    """Draw the first people of a dataset: image, annotated and predicted 3D poses.

    Each column shows one person. The first row is the image. The others show 3D poses,
    seen from the side of the camera, turned by 35 degrees, in image pixels relative to
    the root: as annotated, and of each model. All axes of a person have one scale.

    Args:
        models (Mapping[str, BasePoseEstimator]): Models by title, whose predictions
            have a depth. They are set to evaluation mode.
        dataset (BaseDataset): A :class:`~mmpose_da.datasets.Pose3dDataset` with the
            validation pipeline.
        num_people (int): Number of people, starting with the first of the dataset.
        path (str | Path): Output image; the suffix determines the format.

    Raises:
        FileNotFoundError: If an image is missing.
        ValueError: If there are no people to draw, or one of them has no depth.
    """
    count = min(num_people, len(dataset))
    if count < 1:
        raise ValueError(f"there are no people to draw: {num_people=}, {len(dataset)=}")
    people = [dataset[i] for i in range(count)]
    infos = [dataset.get_data_info(i) for i in range(count)]
    rows = {ANNOTATED: [_annotated(info) for info in infos]}
    for title, model in models.items():
        rows[title] = [found[0] for found in predict_people(model, people)]
    names = dataset.metainfo["keypoint_id2name"]
    root = dataset.metainfo["keypoint_name2id"]["root"]
    bones = dataset.metainfo["skeleton_links"]

    height = len(rows) + 1
    figure = Figure(
        figsize=(TILE_INCHES * count, TILE_INCHES * height), layout="constrained"
    )
    for column, info in enumerate(infos):
        axes = figure.add_subplot(height, count, column + 1)
        axes.imshow(_image(info))
        axes.set(xticks=[], yticks=[])
    for row, (title, poses) in enumerate(rows.items(), 1):
        for column, pose in enumerate(poses):
            place = row * count + column + 1
            axes = figure.add_subplot(height, count, place, projection="3d")
            truth = rows[ANNOTATED][column]
            reach = np.abs(truth - truth[root]).max()
            _draw(axes, pose - pose[root], bones, names, 1.1 * reach)
            if column == 0:
                axes.set_title(title, fontsize="small", loc="left")
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)


def _annotated(info: dict) -> np.ndarray:
    """Return the annotated joints (K, 3) in image pixels, also outside the image."""
    if "depth" not in info:
        raise ValueError(f"annotation {info['id']} has no depth to draw")
    fx, fy, cx, cy = info["camera"]
    joints = info["keypoints_cam"][0]
    points = joints[:, :2] / joints[:, 2:] * [fx, fy] + [cx, cy]
    return np.column_stack([points, info["depth"][0]])


def _image(info: dict) -> np.ndarray:
    """Return the person's box of the image, (h, w, 3) RGB."""
    image = cv2.imread(info["img_path"])
    if image is None:
        raise FileNotFoundError(f"the image '{info['img_path']}' does not exist")
    x1, y1, x2, y2 = np.rint(info["bbox"][0]).astype(int).clip(0)
    return image[y1:y2, x1:x2, ::-1]


def _draw(axes: Any, pose: np.ndarray, bones: list, names: dict, reach: float) -> None:
    """Draw a pose (K, 3): x to the right, depth away from the viewer, y down."""
    for start, end in bones:
        sides = {names[start].split("_")[0], names[end].split("_")[0]}
        side = next((side for side in ("left", "right") if side in sides), "middle")
        x, y, z = pose[[start, end]].T
        axes.plot(x, z, -y, color=COLORS[side], lw=1.8)
    axes.set(xlim=(-reach, reach), ylim=(-reach, reach), zlim=(-reach, reach))
    axes.set(xticklabels=[], yticklabels=[], zticklabels=[])
    axes.set_box_aspect((1, 1, 1))
    axes.view_init(**VIEW)
