"""Selection of people: which annotations are used, and why the others are not."""

from __future__ import annotations

import enum
import logging
from dataclasses import dataclass
from functools import cached_property
from math import isfinite
from numbers import Real
from typing import Any, NamedTuple

import numpy as np
from mmengine.dataset import BaseDataset
from mmengine.logging import print_log

from .annotation_file import (
    AnnotationError,
    check_annotation_file,
    check_detection_file,
    has_coco_file,
)
from .part_crop import PartCrops
from .pseudo_labels import PseudoLabels

#: Keys of an annotation without labels: the image, the person's box, and parts of it.
UNLABELED_KEYS = (
    "id",
    "img_id",
    "img_path",
    "annotated_shape",
    "bbox",
    "bbox_score",
    "bbox_center",
    "bbox_scale",
    "category_id",
    "part_crops",
)


class LeftOut(NamedTuple):
    """An annotation that is not used."""

    id: Any
    img_id: Any
    reason: str


@dataclass(frozen=True)
class BoxJitter:
    """Random box errors like those of a detector; the same in every run.

    Boxes that a converter computes from labels leak these labels into the crops of an
    unlabeled domain: without errors, the center and the side of a crop *are* those of
    the labels' extent.

    Args:
        shift (float): Maximum shift of the center, as a fraction of the box width in x
            and of the box height in y. Defaults to 0.1.
        scale (float): Both sides are multiplied by one factor, which is log-uniform
            between ``1 / (1 + scale)`` and ``1 + scale``. Defaults to 0.2.
        seed (int): Random seed. Defaults to 0.

    Raises:
        ValueError: If ``shift`` or ``scale`` is negative or not finite.
    """

    shift: float = 0.1
    scale: float = 0.2
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("shift", "scale"):
            value = getattr(self, name)
            if not isinstance(value, Real) or not 0 <= float(value) < np.inf:
                raise ValueError(f"box_jitter.{name} must be at least 0, not {value!r}")

    def apply(self, people: list[dict]) -> None:
        """Modify the boxes of people in place."""
        rng = np.random.default_rng(self.seed)
        shifts = rng.uniform(-self.shift, self.shift, (len(people), 2))
        largest = np.log1p(self.scale)
        factors = np.exp(rng.uniform(-largest, largest, len(people)))
        for person, shift, factor in zip(people, shifts, factors, strict=True):
            low, high = person["bbox"][:, :2], person["bbox"][:, 2:]
            move = shift * (high - low)
            center, half = (low + high) / 2 + move, (high - low) / 2 * factor
            box = np.concatenate([center - half, center + half], axis=1)
            person["bbox"] = box.astype(np.float32)
            if "bbox_center" in person:  # MPII's people have these as well
                person["bbox_center"] = (person["bbox_center"] + move).astype("f4")
                person["bbox_scale"] = (person["bbox_scale"] * factor).astype("f4")


class Labels(enum.Enum):
    """What a domain knows about its people.

    Each level keeps only what it names; everything else is removed while annotations
    are read, before any transform can see it.
    """

    #: All labels.
    KEYPOINTS = "keypoints"
    #: Which joints are labeled and inside the box, without their positions; and the
    #: same for each of the person's :class:`PartCrops`.
    PARTS = "parts"
    #: Keypoints of a file of :class:`PseudoLabels` instead of the labels.
    PSEUDO = "pseudo"
    #: Only the boxes.
    NONE = "none"

    @property
    def reads_keypoints(self) -> bool:
        """Whether the keypoints of the annotations are read."""
        return self in (Labels.KEYPOINTS, Labels.PARTS)


def load_people(
    dataset: BaseDataset,
    labels: Labels,
    box_jitter: BoxJitter | None = None,
    part_crops: PartCrops | None = None,
    pseudo: PseudoLabels | None = None,
    threshold: float = 0.0,
) -> list[LeftOut]:
    """Load the annotations of a dataset that was built with ``lazy_init``.

    With labels, a person is used if MMPose's class uses it, with two exceptions: the
    labeled joints are counted, regardless of the number in the file, and if only some
    categories of a file have joints, annotations of the other categories are left out.

    Without labels, a person only needs a box: joint information in the file is dropped
    before the class sees it. If the dataset has a ``bbox_file``, its people are the
    detections in that file, and the annotation file only provides the images.

    Args:
        dataset (BaseDataset): The dataset. The people are loaded into it.
        labels (Labels): What it knows about its people.
        box_jitter (BoxJitter, optional): Errors to add to the boxes of people without
            keypoints. Defaults to None.
        part_crops (PartCrops, optional): Crops of parts of every person, drawn from the
            box. They are the key ``part_crops`` (n, 4) of a person. Defaults to None.
        pseudo (PseudoLabels, optional): The pseudo-labels, in the order of the joints
            to train. Only the people that have some are loaded. Required for
            ``Labels.PSEUDO``. Defaults to None.
        threshold (float): Lowest confidence of a pseudo-label that is used. Defaults
            to 0.

    Returns:
        list[LeftOut]: The annotations that are not used.

    Raises:
        AnnotationError: If the file cannot be read, an annotation is invalid, or no
            annotation can be used.
    """
    labeled = labels.reads_keypoints
    if not has_coco_file(dataset):  # which is checked when it was read
        check_annotation_file(dataset, labeled)
    if dataset.bbox_file:
        check_detection_file(dataset)
    reader = _Reader(dataset, labels, box_jitter, part_crops, pseudo, threshold)
    methods = dict(
        parse_data_info=reader.parse,
        _is_valid_instance=reader.is_used,
        load_data_list=reader.load,
    )
    vars(dataset).update(methods)
    try:
        dataset.full_init()
    except AnnotationError:
        raise
    except Exception as error:
        check_annotation_file(dataset, labeled)  # which says more
        raise AnnotationError(
            f"'{dataset.ann_file}' cannot be read as the annotations of "
            f"{type(dataset).__name__}: {type(error).__name__}: {error}"
        ) from error
    finally:
        for name in methods:
            delattr(dataset, name)
    return reader.left_out


class _Reader:
    """Replaces the methods of a dataset that read and select annotations."""

    def __init__(
        self,
        dataset: BaseDataset,
        labels: Labels,
        box_jitter: BoxJitter | None,
        part_crops: PartCrops | None,
        pseudo: PseudoLabels | None,
        threshold: float,
    ) -> None:
        self.dataset = dataset
        self.labels = labels
        self.labeled = labels.reads_keypoints
        self.box_jitter = box_jitter
        self.part_crops = part_crops
        self.pseudo = pseudo
        self.threshold = threshold
        self.boxes_show_labels = False
        self.num_keypoints = dataset.metainfo["num_keypoints"]
        self.left_out: list[LeftOut] = []
        self._checked = False
        self._refused = f"rejected by {type(dataset).__name__}"

    def load(self) -> list[dict]:
        people = type(self.dataset).load_data_list(self.dataset)
        if self.dataset.bbox_file:
            people = [p for p in map(self._detected, people) if self.is_used(p)]
        if not people:
            check_annotation_file(self.dataset, self.labeled)
            raise AnnotationError(
                f"'{self.dataset.ann_file}' has no person that can be used: "
                f"{describe(self.left_out) or 'it has no annotations'}"
            )
        if self.box_jitter is not None and self.labels is not Labels.KEYPOINTS:
            self.box_jitter.apply(people)
        if self.part_crops is not None:
            self.part_crops.apply(people)
        if self.labels is Labels.KEYPOINTS:
            return people
        if self.boxes_show_labels:
            self._warn()
        if self.labels is Labels.PARTS:
            return [self._parts(person) for person in people]
        people = [self._without_labels(person) for person in people]
        if self.pseudo is None:
            return people
        return self._with_pseudo(people, self.pseudo)

    @staticmethod
    def _detected(info: dict) -> dict:
        return dict(
            info, category_id=np.array(1), annotated_shape=info.pop("img_shape")
        )

    def _warn(self) -> None:
        """Warn that boxes were computed from labels, which a new site does not have."""
        jitter = self.box_jitter
        errors = (
            "exact; set `box_jitter=dict()` or"
            if jitter is None
            else f"shifted by up to {jitter.shift:g} and scaled by up to "
            f"{1 + jitter.scale:g} at random; to use no labels at all, set"
        )
        print_log(
            f"the boxes in '{self.dataset.ann_file}' were computed from the joints, "
            "so the crops of this unlabeled domain reveal their extent. They are "
            f"{errors} `bbox_file` (boxes of a detector) for this domain",
            "current",
            logging.WARNING,
        )

    def parse(self, raw: dict) -> dict | None:
        """Parse an annotation in COCO format; other formats do not call this."""
        if not self._checked:
            check_annotation_file(self.dataset, self.labeled, self.dataset.coco.dataset)
            self._checked = True
        annotation, image = raw["raw_ann_info"], raw["raw_img_info"]
        file_info = self.dataset.coco.dataset.get("info") or {}
        self.boxes_show_labels = file_info.get("bbox_source") == "keypoints"
        reason = self._why_unread(annotation)
        if reason:
            self._leave_out(annotation["id"], annotation["image_id"], reason)
            return None
        read = self._label(annotation) if self.labeled else self._box(annotation)
        raw = dict(raw, raw_ann_info=read)
        info = type(self.dataset).parse_data_info(self.dataset, raw)
        if info is None:
            reason = self._refused if "bbox" in annotation else "without a box"
            self._leave_out(annotation["id"], annotation["image_id"], reason)
        elif {"height", "width"} <= image.keys():
            info["annotated_shape"] = (image["height"], image["width"])
        return info

    def is_used(self, info: dict) -> bool:
        """Return whether a parsed person is used."""
        self._check(info)
        reason = self._why_unused(info)
        if reason:
            self._leave_out(info["id"], info["img_id"], reason)
        return reason is None

    def _leave_out(self, identity: Any, img_id: Any, reason: str) -> None:
        self.left_out.append(LeftOut(identity, img_id, reason))

    @cached_property
    def _categories_with_joints(self) -> set:
        categories = self.dataset.coco.cats
        return {i for i, category in categories.items() if category.get("keypoints")}

    def _why_unread(self, annotation: dict) -> str | None:
        with_joints = self._categories_with_joints
        if with_joints and annotation["category_id"] not in with_joints:
            return "of a category without joints"
        if self.labeled and "keypoints" not in annotation:
            return "without joints"
        if not self.labeled and "bbox" not in annotation:
            return "without a box"
        return None

    def _why_unused(self, info: dict) -> str | None:
        left, top, right, bottom = info["bbox"][0].tolist()
        if info.get("iscrowd"):
            return "of a crowd"
        if right <= left or bottom <= top:
            return "with a box of no area in the image"
        if self.labeled and not info["keypoints_visible"].any():
            return "without a labeled joint"
        if self.labeled and not type(self.dataset)._is_valid_instance(info):
            return self._refused
        return None

    def _check(self, info: dict) -> None:
        """Raise an error if a person has invalid numbers."""
        name = f"annotation {info['id']} in '{self.dataset.ann_file}'"
        if not isfinite(info["bbox"].sum()):  # of a sum: one call, and just as strict
            raise AnnotationError(f"{name} has a box that is not finite; correct it")
        if not self.labeled:
            return
        joints, visible = info["keypoints"], info["keypoints_visible"]
        for count in (joints.shape[1], visible.shape[1]):
            if count != self.num_keypoints:
                raise AnnotationError(
                    f"{name} has {count} joints, but {type(self.dataset).__name__} has "
                    f"{self.num_keypoints}"
                )
        if not (isfinite(joints.sum()) and visible.min() >= 0):
            raise AnnotationError(
                f"{name} has joints that are not finite, or a visibility below 0; "
                "write unlabeled joints as 0, 0, 0"
            )

    @staticmethod
    def _label(annotation: dict) -> dict:
        # An array: MMPose copies the annotation, which takes long for a list.
        joints = np.ravel(annotation["keypoints"])
        visible = np.count_nonzero(joints[2::3])
        return dict(annotation, keypoints=joints, num_keypoints=visible)

    def _box(self, annotation: dict) -> dict:
        """Return an annotation without labels, but with all fields the classes need."""
        return dict(
            {key: annotation[key] for key in ("id", "image_id", "category_id", "bbox")},
            iscrowd=annotation.get("iscrowd", 0),
            keypoints=[0.0] * (3 * self.num_keypoints),
            segmentation=[],
        )

    def _parts(self, info: dict) -> dict:
        """Keep which joints are labeled and inside a box, as their visibility.

        This is the only place where positions make part labels. There is a row for the
        whole person's box, and one for each of the crops of parts.
        """
        points, crops = info["keypoints"][0], info.get("part_crops", np.empty((0, 4)))
        boxes = np.concatenate([info["bbox"], crops])[:, None]
        low, high = boxes[..., :2], boxes[..., 2:]
        inside = ((points >= low) & (points <= high)).all(axis=-1)
        shown = (info["keypoints_visible"][0] > 0) & inside
        visible = shown.astype(np.float32)
        return dict(self._without_labels(info), keypoints_visible=visible)

    def _with_pseudo(self, people: list[dict], pseudo: PseudoLabels) -> list[dict]:
        """Keep the people with pseudo-labels, and give them these."""
        by_id = {person["id"]: person for person in people}
        unknown = [identity for identity in pseudo.ids if identity not in by_id]
        if unknown:
            raise AnnotationError(
                f"{len(unknown)} pseudo-labels are of annotations that are not used or "
                f"not in '{self.dataset.ann_file}', such as {unknown[:3]}; were they "
                "made for another file, or with other settings of the target?"
            )
        labels = zip(pseudo.ids, pseudo.keypoints, pseudo.confidence, strict=True)
        return [
            self._pseudo_person(by_id[identity], points.astype("f4"), confidence)
            for identity, points, confidence in labels
        ]

    def _pseudo_person(
        self, info: dict, points: np.ndarray, confidence: np.ndarray
    ) -> dict:
        visible = (confidence >= self.threshold)[None].astype(np.float32)
        info = dict(info, keypoints=points[None, :, :2], keypoints_visible=visible)
        if points.shape[-1] == 3:
            info.update(depth=points[None, :, 2], depth_visible=visible)
        return info

    def _without_labels(self, info: dict) -> dict:
        return dict(
            {key: info[key] for key in UNLABELED_KEYS if key in info},
            keypoints=np.zeros((1, self.num_keypoints, 2), np.float32),
            keypoints_visible=np.zeros((1, self.num_keypoints), np.float32),
        )


def describe(left_out: list[LeftOut], ids: int = 5) -> str:
    """Summarize the unused annotations by reason.

    Args:
        left_out (list[LeftOut]): The annotations.
        ids (int): Maximum number of ids to list for each reason. Defaults to 5.

    Returns:
        str: For example, ``'34 with a box of no area in the image (12, 57, ...),
        ...'``.
    """
    by_reason: dict[str, list] = {}
    for annotation in left_out:
        by_reason.setdefault(annotation.reason, []).append(annotation.id)
    return ", ".join(
        f"{len(found)} {reason} ({', '.join(map(str, found[:ids]))}"
        f"{', ...' if len(found) > ids else ''})"
        for reason, found in by_reason.items()
    )
