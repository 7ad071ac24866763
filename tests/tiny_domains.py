"""Small domains made on the fly: blobs for joints, in COCO and in MPII format."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from scipy.io import savemat

COCO_JOINTS = 17
MPII_JOINTS = 16
#: COCO's ids of the limb joints and MPII's ids of the same, in the same order.
COCO_LIMBS = [16, 14, 12, 11, 13, 15, 10, 8, 6, 5, 7, 9]
MPII_LIMBS = [0, 1, 2, 3, 4, 5, 10, 11, 12, 13, 14, 15]

CODEC = dict(type="MSRAHeatmap", input_size=(64, 64), heatmap_size=(16, 16), sigma=1.5)
TRAIN_PIPELINE = [
    dict(type="LoadImage"),
    dict(type="GetBBoxCenterScale"),
    dict(type="RandomFlip", direction="horizontal"),
    dict(type="RandomHalfBody"),  # crops by the labels, if there are any
    dict(type="RandomBBoxTransform"),
    dict(type="TopdownAffine", input_size=CODEC["input_size"]),
    dict(type="GenerateTarget", encoder=CODEC),
    dict(type="PackPoseInputs"),
]
VAL_PIPELINE = [
    dict(type="LoadImage"),
    dict(type="GetBBoxCenterScale"),
    dict(type="TopdownAffine", input_size=CODEC["input_size"]),
    dict(type="PackPoseInputs"),
]
COCO_MIDPOINTS = dict(
    pelvis=("left_hip", "right_hip"), thorax=("left_shoulder", "right_shoulder")
)


def _person(rng: np.random.Generator, num_joints: int) -> tuple[np.ndarray, np.ndarray]:
    """An 80 x 80 image and the joints (K, 2) that it shows."""
    joints = rng.uniform(12, 68, size=(num_joints, 2))
    image = rng.integers(0, 60, size=(80, 80, 3), dtype=np.uint8)
    for k, (x, y) in enumerate(joints):
        color = [int(c) for c in np.array([97, 61, 29]) * (k + 3) % 200 + 55]
        cv2.circle(image, (int(x), int(y)), 3, color, -1)
    return image, joints


def write_coco(folder: Path, num_images: int, seed: int = 0) -> Path:
    """A COCO-format set with one person an image; the path of its annotations."""
    rng = np.random.default_rng(seed)
    (folder / "images").mkdir(parents=True)
    images, annotations = [], []
    for i in range(1, num_images + 1):
        image, joints = _person(rng, COCO_JOINTS)
        cv2.imwrite(str(folder / "images" / f"{i:06d}.png"), image)
        images.append(dict(id=i, file_name=f"{i:06d}.png", width=80, height=80))
        visible = np.full((COCO_JOINTS, 1), 2.0)
        annotations.append(
            dict(
                id=10 * i,
                image_id=i,
                category_id=1,
                iscrowd=0,
                bbox=[8.0, 8.0, 64.0, 64.0],
                area=4096.0,
                num_keypoints=COCO_JOINTS,
                keypoints=np.hstack([joints, visible]).ravel().tolist(),
            )
        )
    path = folder / "annotations.json"
    categories = [dict(id=1, name="person")]
    path.write_text(
        json.dumps(dict(images=images, annotations=annotations, categories=categories))
    )
    return path


def write_mpii(folder: Path, num_images: int, seed: int = 1) -> Path:
    """An MPII-format set with head boxes; the path of its annotations."""
    rng = np.random.default_rng(seed)
    (folder / "images").mkdir(parents=True)
    annotations = []
    for i in range(1, num_images + 1):
        image, joints = _person(rng, MPII_JOINTS)
        cv2.imwrite(str(folder / "images" / f"{i:06d}.png"), image)
        annotations.append(
            dict(
                image=f"{i:06d}.png",
                center=[40.0, 35.0],
                scale=0.36,
                joints=joints.tolist(),
                joints_vis=[1] * MPII_JOINTS,
            )
        )
    path = folder / "annotations.json"
    path.write_text(json.dumps(annotations))
    boxes = np.tile(np.array([[20.0, 20.0], [40.0, 40.0]])[..., None], num_images)
    savemat(folder / "headboxes.mat", dict(headboxes_src=boxes))
    return path


def coco_config(folder: Path, **kwargs) -> dict:
    return dict(
        type="CocoDataset",
        ann_file=str(folder / "annotations.json"),
        data_prefix=dict(img=str(folder / "images")),
        **kwargs,
    )


def mpii_config(folder: Path, **kwargs) -> dict:
    return dict(
        type="MpiiDataset",
        ann_file=str(folder / "annotations.json"),
        data_prefix=dict(img=str(folder / "images")),
        **kwargs,
    )


@pytest.fixture
def coco(tmp_path: Path) -> dict:
    """Config of 6 people in COCO format, as a source with MPII's joints."""
    write_coco(tmp_path / "coco", 6)
    return coco_config(tmp_path / "coco", joint_map=COCO_MIDPOINTS)


@pytest.fixture
def mpii(tmp_path: Path) -> dict:
    """Config of 10 people in MPII format."""
    write_mpii(tmp_path / "mpii", 10)
    return mpii_config(tmp_path / "mpii")


def edit_json(path: str | Path, change) -> None:
    """Apply ``change`` to the content of a JSON file, in place."""
    content = json.loads(Path(path).read_text())
    change(content)
    Path(path).write_text(json.dumps(content))
