"""Heatmaps, and other maps of cells, over the crop of a person."""

from __future__ import annotations

import copy
from collections.abc import Sequence

import cv2
import numpy as np
import torch
from matplotlib import colormaps
from mmengine.dataset import pseudo_collate
from mmpose.codecs import MegviiHeatmap, MSRAHeatmap, UDPHeatmap
from mmpose.models.heads import BaseHead
from mmpose.models.pose_estimators.base import BasePoseEstimator
from mmpose.structures import PoseDataSample

from ..models.heads import LocationFreeHead, LogitHeatmapHead, head_outputs
from ..models.heads.head_outputs import HeatmapOutputs
from .paired_predictions import cut_out

COLORS = colormaps["plasma"]
#: How much of the crop the highest cell hides.
OPACITY = 0.65
MARK = dict(markerType=cv2.MARKER_TILTED_CROSS, markerSize=13)
CYAN, BLACK = (0, 255, 255), (0, 0, 0)


def heatmap_step(head: BaseHead) -> np.ndarray | None:
    """Return how far apart the cells of a head's heatmaps are.

    Args:
        head (BaseHead): A head with 2D heatmaps.

    Returns:
        np.ndarray | None: The step (2,) in x and in y, as a share of the crop. Cell 0
        is on its first pixel. None: the cells divide the crop evenly.

    Raises:
        ValueError: If the head has no heatmap of each joint.
    """
    codec = getattr(head, "decoder", None)
    outputs = head_outputs(head)
    if isinstance(outputs, HeatmapOutputs):
        if isinstance(codec, MegviiHeatmap):
            return None
        kind = getattr(codec, "heatmap_type", "gaussian")
        if isinstance(codec, (MSRAHeatmap, UDPHeatmap)) and kind == "gaussian":
            return np.multiply(outputs.scale, outputs.decoded) / codec.input_size
    elif isinstance(head, LocationFreeHead):
        return None
    raise ValueError(
        f"the model's {type(head).__name__} with {type(codec).__name__} does not "
        "predict a 2D heatmap of each joint"
    )


def predict_heatmaps(model: BasePoseEstimator, people: Sequence[dict]) -> np.ndarray:
    """Predict the heatmaps from which a model decodes the joints.

    With the flip test, they are the mean of both.

    Args:
        model (BasePoseEstimator): A model for whose head there is a
            :func:`heatmap_step`. It is set to evaluation mode.
        people (Sequence[dict]): n samples of a validation pipeline.

    Returns:
        np.ndarray: The heatmaps (n, K, h, w).
    """
    model.eval()
    asked = copy.copy(model)  # shares the weights
    asked.test_cfg = dict(model.test_cfg, output_heatmaps=True)
    # The model modifies the samples it receives.
    data = pseudo_collate([copy.deepcopy(person) for person in people])
    with torch.no_grad():
        samples = asked.test_step(data)
        heatmaps = torch.stack([sample.pred_fields.heatmaps for sample in samples])
        if isinstance(model.head, LogitHeatmapHead):
            heatmaps = model.head.heatmaps(heatmaps)
    return heatmaps.cpu().numpy()


def draw_map(
    sample: PoseDataSample,
    cells: np.ndarray,
    point: np.ndarray,
    step: np.ndarray | None = None,
) -> np.ndarray:
    """Draw a map of cells on the crop that the model sees, and a cross at a point.

    The crop is gray. The color is relative to the highest cell; cells of 0 and less
    have none.

    Args:
        sample (PoseDataSample): The person, of a validation pipeline without rotation.
        cells (np.ndarray): The map (h, w).
        point (np.ndarray): The point (2,) in pixels of the image; NaN draws none.
        step (np.ndarray, optional): The distance (2,) of two cells in x and in y, as a
            share of the crop, if cell 0 is on its first pixel; see
            :func:`heatmap_step`. Defaults to None: the cells divide the crop evenly.

    Returns:
        np.ndarray: The picture, RGB (256, W, 3).

    Raises:
        FileNotFoundError: If the image is missing.
    """
    tile, to_tile = cut_out(sample)
    height, width, _ = tile.shape
    heat = np.maximum(cells, 0)
    heat = heat / (heat.max() or 1)
    step_x, step_y = (None, None) if step is None else step
    rows = _nearest_cells(height, heat.shape[0], step_y)
    columns = _nearest_cells(width, heat.shape[1], step_x)
    heat = heat[rows[:, None], columns]
    opacity = OPACITY * heat[..., None]
    gray = tile.mean(axis=-1, keepdims=True)
    drawn = (1 - opacity) * gray + opacity * 255 * COLORS(heat)[..., :3]
    return _mark(drawn.round().astype(np.uint8), to_tile, point)


def draw_cell(
    sample: PoseDataSample, point: np.ndarray, size: Sequence[int]
) -> np.ndarray:
    """Draw a cross at a point, and the cell around it.

    Args:
        sample (PoseDataSample): The person, of a validation pipeline without rotation.
        point (np.ndarray): The point (2,) in pixels of the image, inside the crop.
        size (Sequence[int]): Rows and columns of cells; they divide the crop evenly.

    Returns:
        np.ndarray: The picture, RGB (256, W, 3).

    Raises:
        FileNotFoundError: If the image is missing.
    """
    tile, to_tile = cut_out(sample)
    share = np.array(tile.shape[:2]) / size
    row, column = cell_of(sample, point, size)
    top, left = (share * (row, column)).round().astype(int).tolist()
    bottom, right = (share * (row + 1, column + 1)).round().astype(int).tolist()
    cv2.rectangle(tile, (left, top), (right - 1, bottom - 1), CYAN, 2)
    return _mark(tile, to_tile, point)


def cell_of(
    sample: PoseDataSample, point: np.ndarray, size: Sequence[int]
) -> tuple[int, int]:
    """Return the row and the column of the cell around a point.

    Args:
        sample (PoseDataSample): The person, of a validation pipeline without rotation.
        point (np.ndarray): The point (2,) in pixels of the image, inside the crop.
        size (Sequence[int]): Rows and columns of cells; they divide the crop evenly.
    """
    column, row = np.floor(share_of_crop(sample, point) * size[::-1]).astype(int)
    return int(row), int(column)


def share_of_crop(sample: PoseDataSample, points: np.ndarray) -> np.ndarray:
    """Convert points (..., 2) in pixels of the image to shares of the crop.

    Inside the crop, they are at least 0 and less than 1.
    """
    return (points - sample.input_center) / sample.input_scale + 0.5


def _nearest_cells(pixels: int, cells: int, step: float | None) -> np.ndarray:
    """Return the cell that each pixel along one side of a tile shows."""
    places = np.arange(pixels)
    if step is None:
        return (2 * places + 1) * cells // (2 * pixels)
    return np.rint(places / (pixels * step)).astype(int).clip(0, cells - 1)


def _mark(tile: np.ndarray, to_tile: np.ndarray, point: np.ndarray) -> np.ndarray:
    """Draw a cross on a tile at a point (2,) of the image, unless it is NaN."""
    place = to_tile[:, :2] @ point + to_tile[:, 2]
    if np.isfinite(place).all():
        x, y = place.round().astype(int).tolist()
        for color, thickness in ((BLACK, 4), (CYAN, 2)):
            cv2.drawMarker(tile, (x, y), color, **MARK, thickness=thickness)
    return tile
