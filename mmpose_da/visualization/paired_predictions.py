"""Figures of the same people as annotated and as predicted by several models."""

from __future__ import annotations

import copy
from collections.abc import Collection, Mapping
from pathlib import Path

import cv2
import numpy as np
import torch
from matplotlib.figure import Figure
from mmengine.dataset import BaseDataset, pseudo_collate
from mmengine.structures import InstanceData
from mmpose.models.pose_estimators.base import BasePoseEstimator
from mmpose.structures import PoseDataSample
from mmpose.visualization import PoseLocalVisualizer

TILE_HEIGHT = 256  # pixels
TILE_INCHES = 1.7
ANNOTATED = "annotated"


def draw_paired_predictions(
    models: Mapping[str, BasePoseEstimator],
    dataset: BaseDataset,
    num_images: int,
    path: str | Path,
    joints: Collection[str] | None = None,
) -> None:
    """Draw the first people of a dataset: annotations and each model's predictions.

    Each row shows the annotations or one model; each column shows one person, cropped
    as the model sees it. All predicted joints are drawn, however low their score,
    because scores of different models are not comparable. Joints without annotation are
    not drawn in the annotation row.

    Args:
        models (Mapping[str, BasePoseEstimator]): Models by title. They are set to
            evaluation mode. A model's own ``metainfo`` defines its joints; without one,
            the dataset's does.
        dataset (BaseDataset): A dataset with the validation pipeline, without rotation.
        num_images (int): Number of people, starting with the first of the dataset.
        path (str | Path): Output image; the suffix determines the format.
        joints (Collection[str], optional): Names of the joints to draw. Defaults to
            None: all.

    Raises:
        FileNotFoundError: If an image is missing.
        ValueError: If there are no people to draw.
    """
    count = min(num_images, len(dataset))
    if count < 1:
        raise ValueError(f"there are no people to draw: {num_images=}, {len(dataset)=}")
    people = [dataset[i] for i in range(count)]
    samples = [person["data_samples"] for person in people]
    annotated = [sample.gt_instances for sample in samples]
    rows = {ANNOTATED: (dataset.metainfo, annotated)}
    for title, model in models.items():
        rows[title] = (model.metainfo or dataset.metainfo, _predict(model, people))

    tiles = [cut_out(sample) for sample in samples]
    widths = [tile.shape[1] / TILE_HEIGHT for tile, _ in tiles]
    figure = Figure(
        figsize=(TILE_INCHES * sum(widths), TILE_INCHES * len(rows)),
        layout="constrained",
    )
    axes = figure.subplots(len(rows), count, squeeze=False, width_ratios=widths)
    for row_axes, (title, (definition, instances)) in zip(
        axes, rows.items(), strict=True
    ):
        row_axes[0].set_ylabel(title)
        for axis, person, (tile, to_tile) in zip(
            row_axes, instances, tiles, strict=True
        ):
            axis.imshow(_draw(tile, to_tile, person, definition, joints))
            axis.set(xticks=[], yticks=[])
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=TILE_HEIGHT / TILE_INCHES)


def draw_person(
    sample: PoseDataSample,
    keypoints: np.ndarray,
    definition: dict,
    joints: Collection[str] | None = None,
) -> np.ndarray:
    """Draw the joints of one person on the crop that the model sees.

    Args:
        sample (PoseDataSample): The person, of a validation pipeline without rotation.
        keypoints (np.ndarray): The joints (1, K, 2), in pixels of the image.
        definition (dict): What the joints are; see
            :func:`~mmpose_da.structures.joint_definition`.
        joints (Collection[str], optional): Names of the joints to draw. Defaults to
            None: all.

    Returns:
        np.ndarray: The picture, RGB (256, W, 3).

    Raises:
        FileNotFoundError: If the image is missing.
    """
    tile, to_tile = cut_out(sample)
    shown = np.ones(keypoints.shape[:2])
    person = InstanceData(keypoints=keypoints, keypoints_visible=shown)
    return _draw(tile, to_tile, person, definition, joints)


def predict_people(model: BasePoseEstimator, people: list[dict]) -> list[np.ndarray]:
    """Predict joints (1, K, D) of samples of a validation pipeline, in image pixels."""
    model.eval()
    # The model modifies the samples it receives.
    data = pseudo_collate([copy.deepcopy(person) for person in people])
    with torch.no_grad():
        return [sample.pred_instances.keypoints for sample in model.test_step(data)]


def _predict(model: BasePoseEstimator, people: list[dict]) -> list[InstanceData]:
    """Predict joints in pixels of the images, all of them visible."""
    return [
        InstanceData(keypoints=xy, keypoints_visible=np.ones(xy.shape[:2]))
        for xy in predict_people(model, people)
    ]


def cut_out(sample: PoseDataSample) -> tuple[np.ndarray, np.ndarray]:
    """Return the model's crop, (h, w, 3) RGB, and the (2, 3) matrix that maps to it.

    The crop is larger than the model's input, which is too small to draw on.
    """
    image = cv2.imread(sample.img_path)
    if image is None:
        raise FileNotFoundError(f"the image '{sample.img_path}' does not exist")
    width, height = (float(side) for side in sample.input_scale)
    zoom = TILE_HEIGHT / height
    corner = sample.input_center - 0.5 * sample.input_scale
    to_tile = zoom * np.column_stack([np.eye(2), -corner])
    size = (round(zoom * width), TILE_HEIGHT)
    return cv2.warpAffine(image, to_tile, size)[..., ::-1].copy(), to_tile


def _draw(
    tile: np.ndarray,
    to_tile: np.ndarray,
    person: InstanceData,
    definition: dict,
    joints: Collection[str] | None,
) -> np.ndarray:
    """Return a copy of a tile with a person's joints drawn on it."""
    visible = np.array(person.keypoints_visible) > 0
    for index, name in definition["keypoint_id2name"].items():
        visible[:, index] &= joints is None or name in joints
    shown = InstanceData(
        keypoints=person.keypoints @ to_tile[:, :2].T + to_tile[:, 2],
        keypoints_visible=visible.astype(float),
    )
    visualizer = PoseLocalVisualizer(line_width=2, radius=4)
    visualizer.set_dataset_meta(definition)
    return visualizer.add_datasample(
        "person", tile, PoseDataSample(pred_instances=shown), draw_gt=False
    )
