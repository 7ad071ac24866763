"""Utilities shared by the converters: files, boxes, and COCO-style JSON."""

import argparse
import json
import os
import pickle
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from PIL import Image, UnidentifiedImageError
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
)
from scipy.io import loadmat

T = TypeVar("T")

LABELED, OCCLUDED, UNLABELED = 2, 1, 0  # COCO's visibility flags


class ConversionError(ValueError):
    """Raised if a dataset is not as its converter expects it; says which file."""


def run(
    parser: argparse.ArgumentParser,
    convert: Callable[[argparse.Namespace], Any],
    argv: Sequence[str] | None = None,
) -> None:
    """Read the command line and convert; an error exits with a one-line message."""
    args = parser.parse_args(argv)
    try:
        convert(args)
    except ConversionError as error:
        parser.exit(1, f"{parser.prog}: {error}\n")


def make_parser(description: str, tree: str) -> argparse.ArgumentParser:
    """Create a parser for the folder of the dataset, whose content ``tree`` names."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("folder", type=Path, help=f"folder with {tree}")
    return parser


def track(items: Sequence[T], description: str) -> Iterator[T]:
    """Iterate with a progress bar."""
    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(elapsed_when_finished=True),
    ) as bars:
        yield from bars.track(items, description=description)


def existing(path: Path) -> Path:
    """Check that a path exists."""
    if not path.exists():
        raise ConversionError(f"there is no '{path}'; see docs/datasets.md")
    return path


def read_mat(path: Path, name: str) -> np.ndarray:
    """Read one variable of a MATLAB file."""
    try:
        content = loadmat(existing(path), variable_names=[name])
    except ConversionError:
        raise
    except Exception as error:  # of any type: the file may be damaged anywhere
        raise ConversionError(f"'{path}' cannot be read: {error}") from error
    if name not in content:
        raise ConversionError(f"'{path}' has no variable '{name}'")
    return content[name]


def read_json(path: Path) -> Any:
    """Read a JSON file."""
    try:
        return json.loads(existing(path).read_text(encoding="utf-8"))
    except json.JSONDecodeError as error:
        raise ConversionError(f"'{path}' cannot be read: {error}") from error


class ArrayUnpickler(pickle.Unpickler):
    """Unpickles arrays and plain containers, and runs nothing else."""

    NAMES = ("_reconstruct", "_frombuffer", "ndarray", "dtype", "scalar")

    def find_class(self, module: str, name: str) -> Any:
        array = module.split(".")[0] == "numpy" and name in self.NAMES
        if not array and (module, name) != ("_codecs", "encode"):
            raise pickle.UnpicklingError(f"'{module}.{name}' is not allowed in it")
        return super().find_class(module, name)


def read_pickle(path: Path) -> Any:
    """Read a pickle of arrays and plain containers, without running code in it."""
    try:
        with existing(path).open("rb") as file:
            return ArrayUnpickler(file, encoding="latin1").load()
    except ConversionError:
        raise
    except Exception as error:  # of any type: the file may be damaged anywhere
        raise ConversionError(f"'{path}' cannot be read: {error}") from error


def image_size(path: Path) -> tuple[int, int]:
    """Return the width and height of an image, reading only its header."""
    try:
        with Image.open(existing(path)) as image:
            return image.size
    except UnidentifiedImageError as error:
        raise ConversionError(f"'{path}' is not an image") from error


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file that gets its name only when it is complete."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.name}.partial")
    partial.write_bytes(content)
    os.replace(partial, path)


def square_box(points: np.ndarray, scale: float) -> np.ndarray:
    """Return the square around points (K, 2), times ``scale``: x, y, width, height."""
    low, high = points.min(0), points.max(0)
    side = scale * (high - low).max()
    return np.array([*((low + high) / 2 - side / 2), side, side])


def split(items: Sequence[T], count: int, seed: int) -> tuple[list[T], list[T]]:
    """Split off ``count`` random items; return the others and these, both in order."""
    if not 0 <= count <= len(items):
        raise ConversionError(f"cannot split off {count} of {len(items)} images")
    chosen = np.random.default_rng(seed).permutation(len(items))[:count]
    chosen = set(chosen.tolist())
    rest = [item for i, item in enumerate(items) if i not in chosen]
    return rest, [items[i] for i in sorted(chosen)]


class CocoFile:
    """Builds a COCO-style file of images with keypoints.

    Args:
        joints (str | dict): The joint definition of the dataset; see
            :func:`mmpose_da.structures.joint_metainfo`.
        categories (Iterable[str]): Names of the categories, which get the ids 1, 2, ...
        bbox_source (str): What the boxes were computed from: ``"annotation"``,
            ``"image"``, ``"mask"``, ``"mesh"``, or ``"keypoints"``. It is written to
            the file: :class:`mmpose_da.datasets.MixedDomainDataset` warns about boxes
            that show the labels of an unlabeled domain. Defaults to ``"annotation"``.
    """

    def __init__(
        self,
        joints: str | dict,
        categories: Iterable[str] = ("person",),
        bbox_source: str = "annotation",
    ):
        from mmpose_da.structures import joint_definition  # takes seconds

        names = joint_definition(joints)["keypoint_id2name"]
        self.names = [names[i] for i in range(len(names))]
        self.categories = [
            dict(id=i, name=name, keypoints=self.names)
            for i, name in enumerate(categories, 1)
        ]
        self.info = dict(bbox_source=bbox_source)
        self.images: dict[str, dict] = {}
        self.annotations: list[dict] = []

    def add(
        self,
        file_name: str,
        size: tuple[int, int],
        points: np.ndarray,
        flags: np.ndarray,
        box: Sequence[float] | None = None,
        category: str | None = None,
    ) -> None:
        """Add one instance.

        Args:
            file_name (str): Its image, relative to the image folder of the dataset.
            size (tuple[int, int]): Width and height of the image.
            points (np.ndarray): The joints (K, 2) in pixels.
            flags (np.ndarray): COCO's visibility flag of every joint (K,). The
                coordinates of unlabeled joints are dropped.
            box (Sequence[float], optional): x, y, width, and height. It is clipped to
                the image. Defaults to None: the whole image.
            category (str, optional): Name of the category. Defaults to the first one.
        """
        width, height = size
        image = self.images.setdefault(
            file_name,
            dict(
                id=len(self.images) + 1, file_name=file_name, width=width, height=height
            ),
        )
        x, y, w, h = (0, 0, width, height) if box is None else box
        low = np.clip((x, y), 0, size)
        w, h = np.clip((x + w, y + h), 0, size) - low
        flags = np.asarray(flags, int)
        points = np.where(flags[:, None] != UNLABELED, points, 0.0)
        ids = {entry["name"]: entry["id"] for entry in self.categories}
        self.annotations.append(
            dict(
                id=len(self.annotations) + 1,
                image_id=image["id"],
                category_id=1 if category is None else ids[category],
                iscrowd=0,
                bbox=_rounded([*low, w, h]),
                area=_rounded(w * h),
                num_keypoints=int(np.count_nonzero(flags)),
                keypoints=_rounded(np.column_stack([points, flags]).ravel()),
            )
        )

    def write(self, path: Path) -> None:
        """Write the file and print its size; a file without instances is an error."""
        if not self.annotations:
            raise ConversionError(f"there is nothing to write to '{path}'")
        content = dict(
            info=self.info,
            images=list(self.images.values()),
            annotations=self.annotations,
            categories=self.categories,
        )
        write_bytes(path, (json.dumps(content) + "\n").encode())
        print(f"{path}: {len(self.annotations)} instances in {len(self.images)} images")


def _rounded(values: Any) -> Any:
    """Round numbers for a JSON file to a thousandth of a pixel."""
    return np.round(np.asarray(values, float), 3).tolist()
