"""Crops of parts of a person, which show some joints and not others."""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Real

import numpy as np
from mmcv.transforms import BaseTransform
from mmpose.registry import TRANSFORMS
from mmpose.structures.bbox import (
    bbox_xyxy2cs,
    flip_bbox,
    get_udp_warp_matrix,
    get_warp_matrix,
)

#: Mean color of ImageNet, BGR: zero after MMPose's normalization.
_BLANK = (104, 116, 124)


@dataclass(frozen=True)
class PartCrops:
    """Random parts of every person's box; the same in every run.

    Where all crops show whole people, part labels are the same for everyone and say
    nothing. These crops are drawn from the box alone. Like an annotator who is shown
    each of them once, a domain then knows which joints each crop shows.

    A crop has the aspect ratio of the model's input, so that it can fill it. Its size
    is relative to the smallest box with this aspect ratio that contains the person's
    box. Along each axis, it is inside the person's box at random, or contains it if it
    is larger.

    Args:
        count (int): Number of crops of a person. Each one is a further set of part
            labels, and with very many of them the labels reveal the positions. Defaults
            to 8.
        share (tuple[float, float]): Range of the side of a crop, as a share of that of
            the box; uniform. Defaults to (0.4, 1.0).
        aspect_ratio (float): Width of a crop divided by its height. Defaults to 1.0.
        seed (int): Random seed. Defaults to 0.

    Raises:
        ValueError: If an argument is out of its range.
    """

    count: int = 8
    share: tuple[float, float] = (0.4, 1.0)
    aspect_ratio: float = 1.0
    seed: int = 0

    def __post_init__(self) -> None:
        if not isinstance(self.count, int) or self.count < 1:
            raise ValueError(
                f"part_crops.count must be a positive integer, not {self.count!r}"
            )
        low, high = self.share
        if not 0 < low <= high <= 1:
            raise ValueError(
                "part_crops.share must be a range of numbers above 0 and at most 1, "
                f"not {self.share!r}"
            )
        ratio = self.aspect_ratio
        if not isinstance(ratio, Real) or not 0 < float(ratio) < np.inf:
            raise ValueError(f"part_crops.aspect_ratio must be positive, not {ratio!r}")

    def draw(self, boxes: np.ndarray) -> np.ndarray:
        """Draw the crops of N people.

        Args:
            boxes (np.ndarray): Boxes (N, 4): left, top, right, bottom.

        Returns:
            np.ndarray: Crops (N, count, 4) in the same form, float32.
        """
        rng = np.random.default_rng(self.seed)
        shape = len(boxes), self.count, 1
        low, high = boxes[:, None, :2], boxes[:, None, 2:]
        width, height = np.split(high - low, 2, axis=-1)
        height = np.maximum(height, width / self.aspect_ratio)
        whole = np.concatenate([height * self.aspect_ratio, height], axis=-1)
        half = whole * rng.uniform(*self.share, shape) / 2
        first, last = low + half, high - half
        first, last = np.minimum(first, last), np.maximum(first, last)
        center = first + (last - first) * rng.uniform(size=(*shape[:2], 2))
        return np.concatenate([center - half, center + half], axis=-1).astype("f4")

    def apply(self, people: list[dict]) -> None:
        """Add the crops (count, 4) to people, as ``part_crops``, in place."""
        boxes = np.concatenate([person["bbox"] for person in people])
        for person, crops in zip(people, self.draw(boxes), strict=True):
            person["part_crops"] = crops


@TRANSFORMS.register_module()
class RandomPartCrop(BaseTransform):
    """Shows one of the crops of parts of a person instead of the whole person.

    The crops are those that a dataset drew with its key ``part_crops`` (see
    :class:`PartCrops`). Put the transform right before ``TopdownAffine``. There are two
    forms, and in both the image shows what the part labels say:

    - With ``zoom``, the part fills the image: it replaces the center, the scale, and
      the rotation that earlier transforms chose. Only a mirror image stays one.
    - Without, the part stays where it is, and everything else is blank. Joints then
      have the size and the place that they have in an image of the whole person.
      Earlier transforms apply; a joint that they move out of the image keeps its label.
      Of people with keypoints, joints outside of the part are not visible.

    A sample without such crops is unchanged.

    Required Keys:

        - img, part_crops (optional)
        - img_shape, flip, flip_direction (optional)

    Modified Keys:

        - bbox_center, bbox_scale, bbox_rotation (with ``zoom``)
        - img, keypoints_visible (without ``zoom``)

    Added Keys:

        - part_crop: 0 for the whole person, i + 1 for crop i

    Args:
        prob (float): Probability of a part. Defaults to 1.0.
        zoom (bool): Whether the part fills the image. Defaults to True.

    Raises:
        ValueError: If ``prob`` is not in [0, 1].
    """

    def __init__(self, prob: float = 1.0, zoom: bool = True) -> None:
        if not 0 <= prob <= 1:
            raise ValueError(f"RandomPartCrop.prob must be in [0, 1], but is {prob}")
        self.prob, self.zoom = prob, zoom

    def transform(self, results: dict) -> dict:
        """Choose what the image of a sample shows.

        Args:
            results (dict): The sample.

        Returns:
            dict: The sample.

        Raises:
            ValueError: If the sample was already cropped.
        """
        if "transformed_keypoints" in results:
            raise ValueError(
                "RandomPartCrop comes after TopdownAffine, which makes the crop; put "
                "it right before"
            )
        crops = results.get("part_crops")
        if crops is None or np.random.rand() >= self.prob:
            return dict(results, part_crop=0)
        index = np.random.randint(len(crops))
        crop = crops[index]
        if results.get("flip", False):
            height, width = results["img"].shape[:2]
            crop = flip_bbox(crop, (width, height), "xyxy", results["flip_direction"])
        if not self.zoom:
            image = keep_box(results["img"], crop)
            hidden = _hide_joints(results, crop)
            return dict(results, img=image, part_crop=index + 1, **hidden)
        center, scale = bbox_xyxy2cs(crop[None])
        return dict(
            results,
            bbox_center=center,
            bbox_scale=scale,
            bbox_rotation=np.zeros(1, np.float32),
            part_crop=index + 1,
            part_zoomed=True,
        )


@TRANSFORMS.register_module()
class MarkPartCrops(BaseTransform):
    """Marks the parts of a person in the image of the whole person.

    The model sees the whole person, and learns the part labels of all parts at once:
    where in the image a part is, and which joints it shows. The parts are those that a
    dataset drew with its key ``part_crops`` (see :class:`PartCrops`), and the person's
    box. Put the transform right after ``TopdownAffine``.

    A part is a parallelogram in the image. It is given as the affine matrix (2, 3) from
    0-based pixel centers (x, y, 1) to the unit square: a pixel is in the part if both
    coordinates are in [0, 1].

    Required Keys:

        - bbox, keypoints, transformed_keypoints
        - input_center, input_scale, input_size
        - bbox_rotation, part_crops, img_shape, flip, flip_direction (optional)

    Added Keys:

        - part_regions (n, 2, 3), float32

    Args:
        whole (bool): Whether the person's box is one of the parts, the first. Defaults
            to True.
        use_udp (bool): As in ``TopdownAffine``. Defaults to False.
    """

    def __init__(self, whole: bool = True, use_udp: bool = False) -> None:
        self.whole = whole
        self.warp_matrix = get_udp_warp_matrix if use_udp else get_warp_matrix

    def transform(self, results: dict) -> dict:
        """Add where the parts are in the image.

        Args:
            results (dict): The sample.

        Returns:
            dict: The sample.

        Raises:
            ValueError: If the sample is not cropped yet, or in another way.
        """
        if "input_center" not in results:
            raise ValueError(
                "MarkPartCrops needs the image of a person, which TopdownAffine makes; "
                "put it right after"
            )
        crops = results.get("part_crops", np.empty((0, 4), np.float32))
        if results.get("flip", False):
            crops = flip_bbox(
                crops, results["img_shape"][::-1], "xyxy", results["flip_direction"]
            )
        whole = results["bbox"] if self.whole else results["bbox"][:0]
        boxes = np.concatenate([whole, crops]).astype(np.float64)
        to_input = self.warp_matrix(
            results["input_center"],
            results["input_scale"],
            results.get("bbox_rotation", np.zeros(1))[0],
            results["input_size"],
        )
        points = results["keypoints"][..., :2] @ to_input[:, :2].T + to_input[:, 2]
        if not np.allclose(points, results["transformed_keypoints"], atol=1e-2):
            raise ValueError(
                "MarkPartCrops does not find the parts in the image: it must be right "
                "after TopdownAffine, with the same `use_udp`"
            )
        to_image = np.linalg.inv(np.vstack([to_input, [0, 0, 1]]))[:2]
        low, size = boxes[:, :2], boxes[:, 2:] - boxes[:, :2]
        regions = np.repeat(to_image[None], len(boxes), axis=0)
        regions[..., 2] -= low
        regions /= size[..., None]
        return dict(results, part_regions=regions.astype(np.float32))


def keep_box(image: np.ndarray, box: np.ndarray) -> np.ndarray:
    """Return a copy of an image (h, w, 3), BGR, that is blank outside of a box (4,)."""
    left, top = np.maximum(np.ceil(box[:2]), 0).astype(int)
    right, bottom = np.maximum(np.floor(box[2:]) + 1, 0).astype(int)
    kept = np.empty_like(image)
    kept[:] = _BLANK
    kept[top:bottom, left:right] = image[top:bottom, left:right]
    return kept


def _hide_joints(results: dict, box: np.ndarray) -> dict:
    """Return the visibility of joints, 0 outside of a box, if a sample has joints."""
    if "keypoints" not in results:
        return {}
    points, visible = results["keypoints"], results["keypoints_visible"].copy()
    inside = ((points >= box[:2]) & (points <= box[2:])).all(axis=-1)
    if visible.ndim == 3:  # beside it are the weights of joints
        visible[..., 0] *= inside
    else:
        visible *= inside
    return dict(keypoints_visible=visible)
