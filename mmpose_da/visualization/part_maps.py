"""Figures of the maps of a location-free head, before and after each of its parts."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from mmengine.dataset import BaseDataset, pseudo_collate
from mmpose.models.pose_estimators.base import BasePoseEstimator
from torch import Tensor

from ..models.heads import LocationFreeHead
from ..models.heads.location_free_head import map_peaks
from ..models.layers.marginal_heatmaps import spatial_softmax
from ..structures import labeled_points
from .overlays import share_of_crop

TILE_INCHES = 1.3


def draw_part_maps(
    model: BasePoseEstimator,
    dataset: BaseDataset,
    joints: Sequence[str],
    num_people: int,
    path: str | Path,
) -> None:
    """Draw where each part of a location-free model sees some joints.

    Each row shows a person: the input, and for each joint the maps of the parts of the
    model in order, as distributions over the cells, each relative to its highest cell.
    A circle is where the joint is annotated, a cross the peak of the map.

    Args:
        model (BasePoseEstimator): A model with a
            :class:`~mmpose_da.models.heads.LocationFreeHead`. It is set to evaluation
            mode.
        dataset (BaseDataset): A dataset with the validation pipeline, without rotation.
        joints (Sequence[str]): Names of the joints.
        num_people (int): Number of people, starting with the first of the dataset.
        path (str | Path): Output image; the suffix determines the format.

    Raises:
        ValueError: If there are no people to draw, the head is another one, or a joint
            is unknown.
    """
    count = min(num_people, len(dataset))
    if count < 1:
        raise ValueError(f"there are no people to draw: {num_people=}, {len(dataset)=}")
    if not isinstance(model.head, LocationFreeHead):
        raise ValueError(
            f"the model has a {type(model.head).__name__}, but part maps are those of "
            "a LocationFreeHead"
        )
    definition = model.metainfo or dataset.metainfo
    ids = {name: i for i, name in definition["keypoint_id2name"].items()}
    unknown = [name for name in joints if name not in ids]
    if unknown or not joints:
        raise ValueError(f"unknown joints {unknown}; the model has {list(ids)}")
    people = [dataset[i] for i in range(count)]
    maps = _maps(model, people)

    columns = 1 + len(joints) * len(maps)
    figure = Figure(
        figsize=(TILE_INCHES * columns, TILE_INCHES * count + 0.3), layout="constrained"
    )
    axes = figure.subplots(count, columns, squeeze=False)
    for row, (person, row_axes) in enumerate(zip(people, axes, strict=True)):
        image = person["inputs"].numpy().transpose(1, 2, 0)[..., ::-1]
        truth = _annotated(person)
        row_axes[0].imshow(image)
        tiles = [(name, part) for name in joints for part in maps]
        for axis, (name, part) in zip(row_axes[1:], tiles, strict=True):
            joint = ids[name]
            _draw(axis, image, maps[part][row, joint], truth[joint])
            if row == 0:
                axis.set_title(f"{name.replace('_', ' ')}\n{part}", fontsize="x-small")
    for axis in axes.flat:
        axis.set(xticks=[], yticks=[])
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=150)


def _maps(model: BasePoseEstimator, people: list[dict]) -> dict[str, Tensor]:
    """Return the maps (n, K, h, w) of each part of the model, as distributions."""
    model.eval()
    data = model.data_preprocessor(pseudo_collate(copy.deepcopy(people)))
    with torch.no_grad():
        found = model.head.part_maps(model.extract_feat(data["inputs"]))
    return {part: spatial_softmax(maps).cpu() for part, maps in found.maps.items()}


def _annotated(person: dict) -> np.ndarray:
    """Return the annotated joints (K, 2) in pixels of the input, NaN if unknown."""
    sample = person["data_samples"]
    given = sample.gt_instances
    points = labeled_points(given.keypoints[0], given.keypoints_visible[0])
    return share_of_crop(sample, points) * person["inputs"].shape[:0:-1]


def _draw(axis: Axes, image: np.ndarray, cells: Tensor, truth: np.ndarray) -> None:
    height, width = image.shape[:2]
    extent = (-0.5, width - 0.5, height - 0.5, -0.5)
    axis.imshow(image.mean(-1), cmap="gray", alpha=0.5)
    axis.imshow(cells / cells.max(), cmap="magma", alpha=0.6, extent=extent)
    [peak] = map_peaks(cells[None, None])[0]
    x, y = ((peak.numpy() + 1) * [width, height] - 1) / 2
    axis.plot(x, y, "x", color="cyan", ms=7, mew=1.5)
    axis.plot(*truth, "o", color="lime", ms=8, mew=1.2, fillstyle="none")
    axis.set(xlim=extent[:2], ylim=extent[2:])
