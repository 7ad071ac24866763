"""The people of a domain: which annotations are used, and why the others are not."""

from __future__ import annotations

from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from mmengine.dataset import BaseDataset

from .annotation_file import AnnotationError, check_annotation_file

#: What remains of an annotation without labels: the image and the person's box.
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
)


class LeftOut(NamedTuple):
    """An annotation that is not used."""

    id: Any
    img_id: Any
    reason: str


def load_people(dataset: BaseDataset, labeled: bool) -> list[LeftOut]:
    """Load the annotations of a dataset that has been built without (``lazy_init``).

    With labels, a person is used if MMPose's class uses it, with two exceptions: the
    labelled joints are counted, whatever the file says of their number, and of a file
    some of whose categories have joints, the others' annotations are left out.

    Without labels, a person needs a box and nothing else: what the file says about
    joints is dropped before the class sees it.

    Args:
        dataset (BaseDataset): The dataset; its people are in it afterwards.
        labeled (bool): Whether it has labels.

    Returns:
        list[LeftOut]: The annotations that are not used.

    Raises:
        AnnotationError: The file can't be read, an annotation of it is broken, or none
            can be used.
    """
    check_annotation_file(dataset, labeled)
    reader = _Reader(dataset, labeled)
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
        raise AnnotationError(
            f"'{dataset.ann_file}' can't be read as the annotations of "
            f"{type(dataset).__name__}: {type(error).__name__}: {error}"
        ) from error
    finally:
        for name in methods:
            delattr(dataset, name)
    return reader.left_out


class _Reader:
    """Stands in for the methods of a dataset that read and choose annotations."""

    def __init__(self, dataset: BaseDataset, labeled: bool) -> None:
        self.dataset = dataset
        self.labeled = labeled
        self.num_keypoints = dataset.metainfo["num_keypoints"]
        self.left_out: list[LeftOut] = []
        self._refused = f"that {type(dataset).__name__} does not take"

    def load(self) -> list[dict]:
        people = type(self.dataset).load_data_list(self.dataset)
        if not people:
            raise AnnotationError(
                f"'{self.dataset.ann_file}' has no person that can be used: "
                f"{describe(self.left_out) or 'it has no annotations'}"
            )
        return people if self.labeled else [self._without_labels(p) for p in people]

    def parse(self, raw: dict) -> dict | None:
        """One annotation in COCO's format; other formats don't ask for this."""
        annotation, image = raw["raw_ann_info"], raw["raw_img_info"]
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
        """Whether a person that has been read is used."""
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
        width, height = info["bbox"][0, 2:] - info["bbox"][0, :2]
        if info.get("iscrowd"):
            return "of a crowd"
        if width <= 0 or height <= 0:
            return "with a box of no area in the image"
        if self.labeled and not np.any(info["keypoints_visible"]):
            return "without a labelled joint"
        if self.labeled and not type(self.dataset)._is_valid_instance(info):
            return self._refused
        return None

    def _check(self, info: dict) -> None:
        """Raise an error if a person's numbers can't be what is meant."""
        name = f"annotation {info['id']} in '{self.dataset.ann_file}'"
        if not np.isfinite(info["bbox"]).all():
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
        if not (np.isfinite(joints).all() and np.all(visible >= 0)):
            raise AnnotationError(
                f"{name} has joints that are not finite, or a visibility below 0; "
                "write a joint that is not labelled as 0, 0, 0"
            )

    @staticmethod
    def _label(annotation: dict) -> dict:
        visible = np.ravel(annotation["keypoints"])[2::3]
        return dict(annotation, num_keypoints=np.count_nonzero(visible))

    def _box(self, annotation: dict) -> dict:
        """An annotation without its labels, but all that the classes ask for."""
        return dict(
            {key: annotation[key] for key in ("id", "image_id", "category_id", "bbox")},
            iscrowd=annotation.get("iscrowd", 0),
            keypoints=[0.0] * (3 * self.num_keypoints),
            segmentation=[],
        )

    def _without_labels(self, info: dict) -> dict:
        return dict(
            {key: info[key] for key in UNLABELED_KEYS if key in info},
            keypoints=np.zeros((1, self.num_keypoints, 2), np.float32),
            keypoints_visible=np.zeros((1, self.num_keypoints), np.float32),
        )


def describe(left_out: list[LeftOut], ids: int = 5) -> str:
    """Say how many annotations are left out, by reason.

    Args:
        left_out (list[LeftOut]): The annotations.
        ids (int): How many are named for each reason. Defaults to 5.

    Returns:
        str: As in ``'34 with a box of no area in the image (12, 57, ...), ...'``.
    """
    by_reason: dict[str, list] = {}
    for annotation in left_out:
        by_reason.setdefault(annotation.reason, []).append(annotation.id)
    return ", ".join(
        f"{len(found)} {reason} ({', '.join(map(str, found[:ids]))}"
        f"{', ...' if len(found) > ids else ''})"
        for reason, found in by_reason.items()
    )
