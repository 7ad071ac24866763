"""Detectors of people: each gives boxes with scores for a batch of images."""

from __future__ import annotations

import importlib.util
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
import torch
from mmengine.device import get_device
from mmengine.registry import init_default_scope

from ...compat.mmcv_ops import EXTENSION
from ..work_files import read_json
from .images import Images

DEFAULT_TORCHVISION = "fasterrcnn_resnet50_fpn_v2"
#: The label of a person in torchvision's detectors, which are trained on COCO.
PERSON = 1


class Picture(NamedTuple):
    """An image to look for people in."""

    name: str
    id: int
    pixels: np.ndarray


class Detector(ABC):
    """Finds people.

    Boxes are ``(n, 5)``: x, y of the top left corner, width and height in image pixels,
    and a score from 0 to 1.
    """

    #: Boxes with a lower score are left out unless another value is set.
    default_score = 0.5

    @abstractmethod
    def __call__(self, pictures: Sequence[Picture]) -> list[np.ndarray]:
        """Return the boxes (n, 5) of people in each image."""


class WholeImage(Detector):
    """Takes every image as the box of one person, for images cropped to people."""

    def __call__(self, pictures: Sequence[Picture]) -> list[np.ndarray]:
        shapes = [picture.pixels.shape for picture in pictures]
        return [
            np.array([[0.0, 0.0, width, height, 1.0]]) for height, width, _ in shapes
        ]


class BoxFile(Detector):
    """Boxes of a file.

    Args:
        boxes (str | Path, optional): One of

            - a COCO file, whose images are matched by ``file_name``;
            - COCO detection results, a list of objects with ``image_id``, ``bbox``, and
              ``score``, for images that a COCO file lists;
            - an object with lists of boxes ``[x, y, width, height]``, or with a score
              as a fifth number, by image path.

            Defaults to None: the annotations of the COCO file that lists the images.
            Annotations of other categories than people, and of crowds, are not used.
        images (Images): The images.

    Raises:
        ValueError: If the file has none of these forms, or no box for any image.
    """

    default_score = 0.0

    def __init__(self, boxes: str | Path | None, images: Images) -> None:
        self.source = "the COCO file that lists the images" if boxes is None else boxes
        if boxes is None and images.coco is None:
            raise ValueError(
                "boxes of a file need the file (`boxes`), or a COCO file as the source"
            )
        content = images.coco if boxes is None else read_json(boxes)
        self.boxes: dict[str, list[list[float]]] = {}
        try:
            self._read(content, images)
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(
                f"'{self.source}' has no boxes in one of the supported forms: "
                f"{type(error).__name__}: {error}"
            ) from error
        if not self.boxes.keys() & images.names.keys():
            known = next(iter(self.boxes), None)
            raise ValueError(
                f"'{self.source}' has no box for any image: the first image is "
                f"'{next(iter(images.names))}', and the first box is of '{known}'"
            )

    def _read(self, content: Any, images: Images) -> None:
        if isinstance(content, Mapping) and "annotations" not in content:
            for name, boxes in content.items():
                self._add(name, *boxes)
            return
        if isinstance(content, Mapping):
            names = {image["id"]: image["file_name"] for image in content["images"]}
            people = _people_categories(content)
            annotations = [
                one
                for one in content["annotations"]
                if "bbox" in one
                and not one.get("iscrowd")
                and (people is None or one["category_id"] in people)
            ]
        else:
            if images.coco is None:
                raise ValueError(
                    "detection results name images by id, so the source must be the "
                    "COCO file that has these ids"
                )
            names = {identity: name for name, identity in images.names.items()}
            annotations = [
                one for one in content if one.get("category_id", 1) == PERSON
            ]
        for one in annotations:
            self._add(names[one["image_id"]], [*one["bbox"], one.get("score", 1.0)])

    def _add(self, name: str, *boxes: Sequence[float]) -> None:
        for box in boxes:
            numbers = [float(x) for x in (*box, 1.0)][:5]
            if len(box) not in (4, 5) or not np.isfinite(numbers).all():
                raise ValueError(
                    f"the box {box} of '{name}' is not four or five numbers"
                )
            self.boxes.setdefault(name, []).append(numbers)

    def __call__(self, pictures: Sequence[Picture]) -> list[np.ndarray]:
        found = (self.boxes.get(picture.name, []) for picture in pictures)
        return [np.array(boxes, float).reshape(-1, 5) for boxes in found]


def _people_categories(coco: Mapping) -> set | None:
    """Return the categories of people, or None if the file does not name any."""
    named = [c for c in coco.get("categories", []) if c.get("name") == "person"]
    return {category["id"] for category in named} or None


class HogDetector(Detector):
    """OpenCV's built-in pedestrian detector, which needs no download.

    Dalal and Triggs, "Histograms of Oriented Gradients for Human Detection", CVPR 2005:
    a linear classifier of windows of 64 x 128 pixels. It is weak. It finds upright,
    fully visible people only, misses many of them, and finds some where nobody is. Use
    it where no other detector is available. Scores are the sigmoid of the margin.
    """

    #: The window, and the margin around the person inside it (Sec. 4 of the paper).
    window = (64, 128)
    margin = 16
    #: Images are enlarged by a border of this share of their sides, so that a person
    #: who fills the image has a margin, too.
    border = 0.2

    def __init__(self) -> None:
        self.hog = cv2.HOGDescriptor()
        people = cv2.HOGDescriptor.getDefaultPeopleDetector()
        self.hog.setSVMDetector(np.asarray(people))

    def __call__(self, pictures: Sequence[Picture]) -> list[np.ndarray]:
        return [self._detect(picture.pixels) for picture in pictures]

    def _detect(self, image: np.ndarray) -> np.ndarray:
        height, width = image.shape[:2]
        scale = max(1.0, self.window[0] / width, self.window[1] / height)
        resized = cv2.resize(image, None, fx=scale, fy=scale)
        x, y = (round(self.border * side) for side in resized.shape[1::-1])
        framed = cv2.copyMakeBorder(resized, y, y, x, x, cv2.BORDER_REPLICATE)
        windows, margins = self.hog.detectMultiScale(framed, winStride=(8, 8))
        if len(windows) == 0:
            return np.empty((0, 5))
        boxes = np.asarray(windows, float)
        # Half of the margin is kept: limbs reach into it.
        inset = boxes[:, 2:] * self.margin / 2 / np.array(self.window)
        corner = (boxes[:, :2] + inset - (x, y)) / scale
        score = 1 / (1 + np.exp(-np.ravel(margins)))
        return np.column_stack([corner, (boxes[:, 2:] - 2 * inset) / scale, score])


class TorchvisionDetector(Detector):
    """A detector of torchvision, trained on COCO.

    Args:
        model (str): Its name, such as ``'fasterrcnn_resnet50_fpn_v2'``,
            ``'fasterrcnn_mobilenet_v3_large_320_fpn'``, or
            ``'retinanet_resnet50_fpn_v2'``.
        weights (str | Path, optional): A file of weights as torchvision publishes them.
            Defaults to None: they are downloaded.
        device (str): The device.

    Raises:
        ValueError: If torchvision has no such detector, or the weights do not fit.
        RuntimeError: If the weights cannot be downloaded.
    """

    def __init__(self, model: str, weights: str | Path | None, device: str) -> None:
        from torchvision.models import detection, get_model, list_models

        names = list_models(module=detection)
        if model not in names:
            raise ValueError(f"torchvision has no detector '{model}', only {names}")
        self.device = device
        if weights is None:
            try:
                network = get_model(model, weights="DEFAULT")
            except OSError as error:  # URLError is one
                raise RuntimeError(
                    f"the weights of torchvision's '{model}' cannot be downloaded "
                    f"({error}); give a file of them (`weights`), or use another "
                    "detector"
                ) from error
        else:
            network = get_model(model, weights=None, weights_backbone=None)
            try:
                state = torch.load(weights, map_location="cpu", weights_only=True)
                network.load_state_dict(state)
            except FileNotFoundError:
                raise
            except Exception as error:
                raise ValueError(
                    f"'{weights}' is not a file of weights for torchvision's "
                    f"'{model}': {error}"
                ) from error
        self.network = network.to(device).eval()

    @torch.no_grad()
    def __call__(self, pictures: Sequence[Picture]) -> list[np.ndarray]:
        images = [
            torch.from_numpy(picture.pixels[..., ::-1].copy()).permute(2, 0, 1)
            for picture in pictures
        ]
        found = self.network([image.to(self.device) / 255.0 for image in images])
        return [
            _xywh(
                one["boxes"].cpu().numpy(),
                one["scores"].cpu().numpy(),
                one["labels"].cpu().numpy() == PERSON,
            )
            for one in found
        ]


class MMDetDetector(Detector):
    """Any detector of MMDetection. Its operators need compiled MMCV.

    Args:
        config (str | Path): The config file.
        weights (str | Path, optional): The checkpoint.
        device (str): The device.

    Raises:
        RuntimeError: If MMCV is mmcv-lite, or MMDetection is not installed.
        ValueError: If there is no config, or its classes have no person.
    """

    def __init__(
        self, config: str | Path | None, weights: str | Path | None, device: str
    ) -> None:
        check_mmdet()
        if config is None or weights is None:
            raise ValueError(
                "the detector 'mmdet' needs a config (`model`) and a checkpoint "
                "(`weights`) of MMDetection"
            )
        from mmdet.apis import inference_detector, init_detector
        from mmpose.utils import adapt_mmdet_pipeline

        with redirect_stdout(StringIO()):
            self.network = init_detector(str(config), str(weights), device=device)
        self.network.cfg = adapt_mmdet_pipeline(self.network.cfg)
        init_default_scope("mmpose")
        classes = list(self.network.dataset_meta["classes"])
        if "person" not in classes:
            raise ValueError(f"the classes of '{config}' have no 'person': {classes}")
        self.person = classes.index("person")
        self.infer = inference_detector

    def __call__(self, pictures: Sequence[Picture]) -> list[np.ndarray]:
        found = self.infer(self.network, [picture.pixels for picture in pictures])
        people = (sample.pred_instances.cpu().numpy() for sample in found)
        return [_xywh(p.bboxes, p.scores, p.labels == self.person) for p in people]


def check_mmdet() -> None:
    """Check that MMDetection and compiled MMCV are installed.

    Raises:
        RuntimeError: If not.
    """
    if importlib.util.find_spec(EXTENSION) is None:
        raise RuntimeError(
            "the detector 'mmdet' needs the compiled operators of MMCV, but mmcv-lite "
            "is installed, which lacks them: install compiled MMCV (`make setup "
            "MMCV=full`, or `pip uninstall mmcv-lite` and `pip install mmcv`), or use "
            "the detector 'torchvision'"
        )
    if importlib.util.find_spec("mmdet") is None:
        raise RuntimeError(
            "the detector 'mmdet' needs MMDetection: `pip install mmdet`, or use the "
            "detector 'torchvision'"
        )


def _xywh(corners: np.ndarray, scores: np.ndarray, people: np.ndarray) -> np.ndarray:
    """Convert the boxes (n, 4) of people from corners to a corner and sides."""
    low, high = np.split(corners[people].astype(float), 2, axis=1)
    return np.column_stack([low, high - low, scores[people].astype(float)])


#: How each detector is built from its model, weights, boxes, images, and device.
DETECTORS: dict[str, Callable[..., Detector]] = dict(
    torchvision=lambda model, weights, device, **_: TorchvisionDetector(
        model or DEFAULT_TORCHVISION, weights, device
    ),
    mmdet=lambda model, weights, device, **_: MMDetDetector(model, weights, device),
    boxes=lambda boxes, images, **_: BoxFile(boxes, images),
    whole=lambda **_: WholeImage(),
    hog=lambda **_: HogDetector(),
)


def build_detector(
    kind: str,
    images: Images,
    model: str | None = None,
    weights: str | None = None,
    boxes: str | None = None,
    device: str | None = None,
) -> Detector:
    """Build a detector.

    Args:
        kind (str): ``'torchvision'``, ``'mmdet'``, ``'boxes'``, ``'whole'``, or
            ``'hog'``.
        images (Images): The images, which boxes of a file are matched with.
        model (str, optional): The name or the config of a network. Defaults to None.
        weights (str, optional): Its weights. Defaults to None.
        boxes (str, optional): The file of :class:`BoxFile`. Defaults to None.
        device (str, optional): The device of a network. Defaults to None: a GPU if
            there is one.

    Returns:
        Detector: The detector.
    """
    check_detector(kind, model, weights, boxes)
    given = dict(model=model, weights=weights, boxes=boxes, images=images)
    return DETECTORS[kind](**given, device=device or get_device())


def check_detector(
    kind: str, model: str | None, weights: str | None, boxes: str | None
) -> None:
    """Check that a detector is available and takes what it is given.

    Raises:
        ValueError: If not. The message names the argument.
        RuntimeError: If something that it needs is not installed.
    """
    if kind not in DETECTORS:
        raise ValueError(f"detector='{kind}' is none of {sorted(DETECTORS)}")
    if kind == "mmdet":
        check_mmdet()
    network = ["model", "weights"]
    takes = dict(torchvision=network, mmdet=network, boxes=["boxes"])
    for name, value in dict(model=model, weights=weights, boxes=boxes).items():
        if value is not None and name not in takes.get(kind, []):
            raise ValueError(f"`{name}` does not apply to the detector '{kind}'")
    for name, value in dict(weights=weights, boxes=boxes).items():
        if value is not None and "://" not in value and not Path(value).is_file():
            raise FileNotFoundError(f"`{name}`: there is no file '{value}'")
