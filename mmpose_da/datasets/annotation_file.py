"""Validation of annotation files before MMPose reads them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable
from math import prod
from reprlib import repr as short
from typing import Any

import numpy as np
from mmengine.dataset import BaseDataset
from mmengine.fileio import load
from mmpose.datasets.datasets import MpiiDataset
from mmpose.datasets.datasets.base import BaseCocoStyleDataset

#: A valid value, in words and as a test.
Kind = tuple[str, Callable[[Any], bool]]


class AnnotationError(ValueError):
    """Raised for an unusable annotation file or annotation; says which and why."""


def _array(value: Any) -> np.ndarray | None:
    """Convert nested lists of numbers to an array; return None for anything else."""
    try:
        array = np.asarray(value)
    except ValueError:  # lists of different lengths
        return None
    return array if array.dtype.kind in "biuf" else None


def _numbers(in_words: str, fits: Callable[[tuple], bool]) -> Kind:
    def holds(value: Any) -> bool:
        array = _array(value)
        return array is not None and fits(array.shape)

    return in_words, holds


def _number_between(low: float, high: float) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, (int, float)) and low < value < high


_INTEGER: Kind = ("an integer", lambda value: isinstance(value, int))
_TEXT: Kind = ("a string", lambda value: isinstance(value, str))
_ID: Kind = ("an integer or a string", lambda value: isinstance(value, (int, str)))
_LENGTH: Kind = ("a number of pixels", _number_between(0, 2**31))
_NUMBER = _numbers("a number", lambda shape: shape == ())
_POINT = _numbers("two numbers", lambda shape: shape == (2,))
_BOX = _numbers("four numbers: x, y, width, height", lambda shape: shape == (4,))
_LIST = _numbers("a list of numbers", lambda shape: len(shape) > 0)
_PAIRS = _numbers("x, y for each joint", lambda shape: prod(shape) % 2 == 0)
_TRIPLES = _numbers(
    "x, y, visibility for each joint", lambda shape: prod(shape) % 3 == 0
)
_NUMBERED_FILE: Kind = (
    "a file name that starts with the image's number, such as '015601864.jpg'",
    lambda value: isinstance(value, str) and value.split(".")[0].isdecimal(),
)

_COCO_IMAGE = dict(id=_INTEGER, file_name=_TEXT, width=_LENGTH, height=_LENGTH)
_COCO_BOX = dict(
    id=_ID, image_id=_INTEGER, category_id=_INTEGER, bbox=_BOX, iscrowd=_INTEGER
)
_COCO_PERSON = dict(_COCO_BOX, keypoints=_TRIPLES, area=_NUMBER)
_COCO_CATEGORY = dict(id=_INTEGER)
_DETECTION = dict(image_id=_INTEGER, category_id=_INTEGER, bbox=_BOX, score=_NUMBER)
_MPII_PERSON = dict(
    image=_NUMBERED_FILE, center=_POINT, scale=_NUMBER, joints=_PAIRS, joints_vis=_LIST
)
#: Fields that a record may lack.
_OPTIONAL = {"bbox", "iscrowd", "keypoints", "area"}


def has_coco_file(dataset: BaseDataset) -> bool:
    """Return whether the annotation file of a dataset is in COCO format."""
    method = type(dataset)._load_annotations
    return method is BaseCocoStyleDataset._load_annotations


def check_annotation_file(
    dataset: BaseDataset, labeled: bool, content: Any = None
) -> None:
    """Check the annotation file of a dataset in COCO or MPII format.

    MMPose reads such files unchecked. It fails without saying where, or reads something
    else: of two annotations with the same id, it uses the last one twice. Files in
    other formats are not checked.

    Args:
        dataset (BaseDataset): A dataset that has not loaded its annotations yet.
        labeled (bool): Whether the joints are used. If not, joints in COCO format are
            not checked.
        content (Any): What the file contains, if it was read already. Defaults to None.

    Raises:
        AnnotationError: If the file is not valid JSON, or something in it is missing,
            has the wrong type, is duplicated, or refers to something that does not
            exist.
    """
    check: Callable[[Any, bool], None]
    if isinstance(dataset, MpiiDataset):
        check = _check_mpii
    elif has_coco_file(dataset):
        check = _check_coco
    else:
        return
    try:
        if content is None:
            content = load(dataset.ann_file, file_format="json")
        check(content, labeled)
    except ValueError as error:
        raise AnnotationError(f"'{dataset.ann_file}': {error}") from error


def check_detection_file(dataset: BaseDataset) -> None:
    """Check the detection file that replaces the boxes of a dataset.

    Args:
        dataset (BaseDataset): A dataset with a ``bbox_file`` in the COCO results
            format: a list of objects with image_id, category_id, bbox, and score.

    Raises:
        AnnotationError: If the file is not valid JSON, a detection does not have this
            form or belongs to an image that the annotation file lacks, or the
            annotation file is in MPII format.
    """
    if isinstance(dataset, MpiiDataset):
        raise AnnotationError(
            f"bbox_file='{dataset.bbox_file}' needs an annotation file in COCO "
            "format, which names the images, but "
            f"'{dataset.ann_file}' is in MPII format"
        )
    images = {image["id"] for image in load(dataset.ann_file)["images"]}
    try:
        detections = load(dataset.bbox_file, file_format="json")
        if not isinstance(detections, list):
            raise ValueError("must be a list of detections in the COCO results format")
        for index, detection in enumerate(detections):
            problem = _problem(detection, _DETECTION, optional=())
            if problem:
                raise ValueError(f"detection {index} {problem}")
            if detection["image_id"] not in images:
                raise ValueError(
                    f"detection {index} has image_id={detection['image_id']}, which "
                    f"'{dataset.ann_file}' lacks"
                )
    except ValueError as error:
        raise AnnotationError(f"'{dataset.bbox_file}': {error}") from error


def _check_mpii(people: Any, labeled: bool) -> None:
    if not isinstance(people, list):
        raise ValueError("must be a list of people, as in MPII format")
    for index, person in enumerate(people):
        problem = _problem(person, _MPII_PERSON)
        if problem:
            raise ValueError(f"annotation {index} {problem}")


def _check_coco(content: Any, labeled: bool) -> None:
    if not isinstance(content, dict):
        raise ValueError(
            "must be an object with images and annotations, as in COCO format"
        )
    categories = _list_of(content, "categories") if "categories" in content else []
    images, annotations = _list_of(content, "images"), _list_of(content, "annotations")
    _check_records("category", categories, _COCO_CATEGORY)
    _check_records("image", images, _COCO_IMAGE)
    _check_records("annotation", annotations, _COCO_PERSON if labeled else _COCO_BOX)
    category_ids = _unique_ids(categories, "categories")
    image_ids = _unique_ids(images, "images")
    _unique_ids(annotations, "annotations")
    for annotation in annotations:
        _check_reference(annotation, "image_id", image_ids)
        if category_ids:
            _check_reference(annotation, "category_id", category_ids)


def _list_of(content: dict, key: str) -> list:
    if not isinstance(content.get(key), list):
        raise ValueError(f"must have a list '{key}', as in COCO format")
    return content[key]


def _check_records(what: str, records: list, fields: dict[str, Kind]) -> None:
    for record in records:
        problem = _problem(record, fields)
        if problem:
            identity = record.get("id", record) if isinstance(record, dict) else record
            raise ValueError(f"{what} {short(identity)} {problem}")


def _problem(
    record: Any, fields: dict[str, Kind], optional: Collection[str] = _OPTIONAL
) -> str | None:
    """Return what is wrong with a record, or None."""
    if not isinstance(record, dict):
        return f"must be an object with {sorted(fields)}"
    missing = fields.keys() - record.keys() - set(optional)
    if missing:
        return f"has no {sorted(missing)}"
    for key, (in_words, holds) in fields.items():
        if key in record and not holds(record[key]):
            return f"has {key}={short(record[key])}, which must be {in_words}"
    return None


def _unique_ids(records: Iterable[dict], what: str) -> set:
    counts = Counter(record["id"] for record in records)
    doubled = [identity for identity, count in counts.items() if count > 1]
    if doubled:
        raise ValueError(
            f"several {what} have the id {short(doubled)[1:-1]}; ids must be unique"
        )
    return set(counts)


def _check_reference(annotation: dict, key: str, known: set) -> None:
    if annotation[key] not in known:
        raise ValueError(
            f"annotation {annotation['id']} has {key}={annotation[key]}, which the "
            "file does not contain"
        )
