"""Small sets of people with 3D joints, and a small model for them."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np

CODEC = dict(
    type="MarginalHeatmap", input_size=(64, 64), heatmap_size=(8, 8, 8), sigma=1.0
)
META_KEYS = (
    *("id", "img_id", "img_path", "ori_shape", "img_shape", "input_size"),
    *("input_center", "input_scale", "flip", "flip_direction", "flip_indices"),
    "camera",
)
PIPELINE = [
    dict(type="LoadImage"),
    dict(type="GetBBoxCenterScale"),
    dict(type="RandomFlip", direction="horizontal"),
    dict(type="RandomBBoxTransform"),
    dict(type="TopdownAffine", input_size=CODEC["input_size"]),
    dict(type="TransformDepth"),
    dict(type="GenerateTarget", encoder=CODEC),
    dict(type="PackPoseInputs"),
]
VAL_PIPELINE = [
    dict(type="LoadImage"),
    dict(type="GetBBoxCenterScale"),
    dict(type="TopdownAffine", input_size=CODEC["input_size"]),
    dict(type="PackPoseInputs", meta_keys=META_KEYS),
]


def write_pose3d(folder: Path, num_images: int, seed: int = 0) -> Path:
    """A set with one person an image and 3D joints; the path of its annotations."""
    rng = np.random.default_rng(seed)
    (folder / "images").mkdir(parents=True)
    images, annotations = [], []
    for i in range(1, num_images + 1):
        camera = [300.0, 320.0, 41.0, 38.5]
        depth = rng.uniform(3500, 4500) + np.r_[0, rng.uniform(-300, 300, 16)]
        points = rng.uniform(12, 68, (17, 2))
        joints = np.column_stack([(points - camera[2:]) / camera[:2], np.ones(17)])
        joints *= depth[:, None]
        image = rng.integers(0, 60, size=(80, 80, 3), dtype=np.uint8)
        for k, (x, y) in enumerate(points):
            color = [int(c) for c in np.array([97, 61, 29]) * (k + 3) % 200 + 55]
            cv2.circle(image, (int(x), int(y)), 3, color, -1)
        name = f"{i:06d}.png"
        cv2.imwrite(str(folder / "images" / name), image)
        images.append(dict(id=i, file_name=name, width=80, height=80, camera=camera))
        keypoints = np.column_stack([points, np.full(17, 2.0)])
        annotations.append(
            dict(
                id=i,
                image_id=i,
                category_id=1,
                iscrowd=0,
                bbox=[8.0, 8.0, 64.0, 64.0],
                area=4096.0,
                num_keypoints=17,
                keypoints=keypoints.ravel().tolist(),
                keypoints_3d=joints.ravel().tolist(),
            )
        )
    path = folder / "annotations.json"
    categories = [dict(id=1, name="person")]
    content = dict(images=images, annotations=annotations, categories=categories)
    path.write_text(json.dumps(content))
    return path


def pose3d_config(folder: Path, **kwargs) -> dict:
    return dict(
        type="Pose3dDataset",
        ann_file=str(folder / "annotations.json"),
        data_prefix=dict(img=str(folder / "images")),
        **kwargs,
    )


def head_config(**kwargs) -> dict:
    """A marginal heatmap head for the tiny backbone."""
    return dict(
        type="MarginalHeatmapHead",
        in_channels=64,
        out_channels=17,
        channels=8,
        num_deconvs=1,
        num_convs=1,
        decoder=CODEC,
        **kwargs,
    )
