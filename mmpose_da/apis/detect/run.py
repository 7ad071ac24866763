"""People in a folder of images, a video, or a COCO file: the boxes of a target."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch

from ..stages import locked
from ..work_files import Journal, keep_settings, read_json, write_json
from .detectors import BoxFile, Detector, Picture, build_detector, check_detector
from .images import Images, extract_frames, is_video, list_images, read_image

#: Names of left-out images or people that a result lists for each reason.
EXAMPLES = 20

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Detection:
    """Where and how to look for people.

    Args:
        source (str): A folder of images (with its subfolders), a video, or a COCO file.
        images (str, optional): The image folder of a COCO file. Defaults to None: the
            folder of the file.
        detector (str): ``'torchvision'``, ``'mmdet'``, ``'boxes'`` (of a file),
            ``'whole'`` (each image is the box of one person), or ``'hog'`` (built into
            OpenCV, weak). Defaults to ``'torchvision'``.
        model (str, optional): The name of a detector of torchvision, or the config of
            one of MMDetection. Defaults to None.
        weights (str, optional): Its weights. Defaults to None: those of torchvision are
            downloaded.
        boxes (str, optional): The file of the detector ``'boxes'``; see
            :class:`~mmpose_da.apis.detect.detectors.BoxFile`. Defaults to None.
        score (float, optional): Boxes with a lower score are left out. Defaults to
            None: 0 for boxes of a file, otherwise 0.5.
        min_size (float): Boxes are left out whose longer side is shorter than this, in
            pixels. Defaults to 32.
        step (int, optional): Take every frame of a video whose number is a multiple of
            this. Defaults to None: about two per second.
        duplicates (int): A frame of a video is left out if its perceptual hash differs
            in at most this many of 255 bits from the last one kept; -1 keeps all.
            Defaults to 6.
    """

    source: str
    images: str | None = None
    detector: str = "torchvision"
    model: str | None = None
    weights: str | None = None
    boxes: str | None = None
    score: float | None = None
    min_size: float = 32.0
    step: int | None = None
    duplicates: int = 6

    def __post_init__(self) -> None:
        check_detector(self.detector, self.model, self.weights, self.boxes)
        if self.score is not None and not 0 <= self.score <= 1:
            raise ValueError(f"score must be in [0, 1], but is {self.score}")
        if self.step is not None and self.step < 1:
            raise ValueError(f"step must be at least 1, but is {self.step}")
        if not -1 <= self.duplicates < 255:
            raise ValueError(
                f"duplicates must be from -1 to 254, not {self.duplicates}"
            )


@dataclass(frozen=True)
class Detected:
    """People that were found.

    Attributes:
        ann_file (Path): A COCO file with images and boxes, each with its ``score``.
        images (Path): The image folder.
        num_images (int): Number of images that were searched.
        num_people (int): Number of boxes.
        left_out (dict[str, dict]): By reason, the ``count`` of images or boxes that are
            left out, and the first of them as ``examples``.
        seconds (float): Time of the last part of the work.
    """

    ann_file: Path
    images: Path
    num_images: int
    num_people: int
    left_out: dict[str, dict]
    seconds: float


def detect(
    settings: Detection,
    work_dir: str | Path,
    *,
    batch_size: int = 8,
    device: str | None = None,
    progress: Progress | None = None,
) -> Detected:
    """Find people, or resume where this was interrupted.

    The work directory receives ``settings.json``, the ``frames`` of a video,
    ``people.json`` (a COCO file that a
    :class:`~mmpose_da.datasets.MixedDomainDataset` reads as a target), and, at the end,
    ``result.json``. When called again, finished work is not repeated.

    Args:
        settings (Detection): Where and how.
        work_dir (str | Path): The directory of this work alone.
        batch_size (int): Number of images that are searched at once. Defaults to 8.
        device (str, optional): The device. Defaults to None: a GPU if there is one.
        progress (Callable[[str, int, int], None], optional): Called with what is being
            done, the completed, and the total number. Defaults to None.

    Returns:
        Detected: The file and what is in it.

    Raises:
        FileNotFoundError: If the source or a file of the settings does not exist.
        ValueError: If there are no images, none can be read, or they have no person.
        RuntimeError: If the directory has work with other settings or is in use, or the
            detector is not available.
    """
    work_dir, begin = Path(work_dir).resolve(), time.monotonic()
    report = progress or (lambda text, done, total: None)
    with locked(work_dir):
        video = is_video(settings.source)
        images = None if video else list_images(settings.source, settings.images)
        keep_settings(
            dict(
                _absolute(settings),
                digest=images.digest
                if images
                else Path(settings.source).stat().st_size,
            ),
            work_dir / "settings.json",
        )
        if (work_dir / "result.json").is_file():
            return read_detected(work_dir)
        left_out: dict[str, list[str]] = {}
        if images is None:
            left_out = extract_frames(
                settings.source,
                work_dir / "frames",
                settings.step,
                settings.duplicates,
                lambda done, total: report("reading the video", done, total),
            )
            images = list_images(work_dir / "frames")
        detector = build_detector(
            settings.detector,
            images,
            settings.model,
            settings.weights,
            settings.boxes,
            device,
        )
        with Journal(work_dir / "boxes.jsonl") as journal:
            _search(images, detector, journal, batch_size, report)
            lines = journal.lines
        score = detector.default_score if settings.score is None else settings.score
        content = _collect(images, lines, score, settings.min_size, left_out)
        if isinstance(detector, BoxFile) and settings.boxes is None and images.coco:
            content["info"].update(_box_source(images.coco))
        _check_found(content, lines, left_out, settings)
        write_json(content, work_dir / "people.json")
        result = Detected(
            ann_file=work_dir / "people.json",
            images=images.folder,
            num_images=len(lines),
            num_people=len(content["annotations"]),
            left_out={
                reason: dict(count=len(names), examples=names[:EXAMPLES])
                for reason, names in left_out.items()
            },
            seconds=time.monotonic() - begin,
        )
        write_json(
            dict(asdict(result), ann_file="people.json", images=str(images.folder)),
            work_dir / "result.json",
        )
        for name in ("boxes.jsonl", "frames.jsonl"):
            (work_dir / name).unlink(missing_ok=True)
        del detector
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        return result


def read_detected(work_dir: str | Path) -> Detected:
    """Read the result of finished work."""
    content = read_json(Path(work_dir) / "result.json")
    content["ann_file"] = Path(work_dir) / content["ann_file"]
    return Detected(**dict(content, images=Path(content["images"])))


def _absolute(settings: Detection) -> dict:
    content = asdict(settings)
    for key in ("source", "images", "boxes", "weights"):
        value = content[key]
        if value is not None and "://" not in value:
            content[key] = str(Path(value).resolve())
    return content


def _search(
    images: Images,
    detector: Detector,
    journal: Journal,
    batch_size: int,
    report: Progress,
) -> None:
    """Add a line for each image that has none yet: its boxes, or why it has none."""
    done = {line["name"] for line in journal.lines}
    rest = [name for name in images.names if name not in done]
    for start in range(0, len(rest), batch_size):
        pictures, unreadable = [], {}
        batch = rest[start : start + batch_size]
        for name in batch:
            try:
                pixels = read_image(images.folder / name)
                pictures.append(Picture(name, images.names[name], pixels))
            except (OSError, ValueError) as error:
                unreadable[name] = str(error)
        found = detector(pictures) if pictures else []
        shapes = {p.name: p.pixels.shape[:2] for p in pictures}
        boxes = dict(zip(shapes, found, strict=True))
        for name in batch:
            if name in unreadable:
                journal.append(dict(name=name, error=unreadable[name]))
            else:
                height, width = shapes[name]
                size = dict(width=width, height=height)
                rounded = np.round(boxes[name], 4).tolist()
                journal.append(dict(name=name, **size, boxes=rounded))
        report("looking for people", len(journal.lines), len(images.names))


def _collect(
    images: Images,
    lines: Sequence[dict],
    score: float,
    min_size: float,
    left_out: dict[str, list[str]],
) -> dict:
    """Make a COCO file of the boxes, and add to what is left out."""
    content: dict = dict(
        info=dict(description="people found by MMPose-DA", bbox_source="detector"),
        categories=[dict(id=1, name="person")],
        images=[],
        annotations=[],
    )
    order = {name: place for place, name in enumerate(images.names)}
    for line in sorted(lines, key=lambda line: order[line["name"]]):
        name = line["name"]
        if "error" in line:
            left_out.setdefault("images that cannot be read", []).append(line["error"])
            continue
        size = np.array([line["width"], line["height"]])
        people = []
        for box in np.reshape(line["boxes"], (-1, 5)):
            low = box[:2].clip(0, size)
            sides = (box[:2] + box[2:4]).clip(0, size) - low
            reason = _why_left_out(sides, box[4], score, min_size)
            if reason is not None:
                left_out.setdefault(reason, []).append(name)
                continue
            people.append(
                dict(
                    image_id=images.names[name],
                    category_id=1,
                    iscrowd=0,
                    bbox=[*low.tolist(), *sides.tolist()],
                    area=float(sides.prod()),
                    score=float(box[4]),
                )
            )
        if not people:
            left_out.setdefault("images without a person", []).append(name)
            continue
        shape = dict(width=line["width"], height=line["height"])
        content["images"].append(dict(id=images.names[name], file_name=name, **shape))
        content["annotations"].extend(people)
    for number, person in enumerate(content["annotations"], 1):
        person["id"] = number
    return content


def _why_left_out(
    sides: np.ndarray, given: float, score: float, min_size: float
) -> str | None:
    if sides.min() <= 0:
        return "boxes outside of the image"
    if given < score:
        return f"boxes with a score below {score:g}"
    if sides.max() < min_size:
        return f"boxes smaller than {min_size:g} pixels"
    return None


def _box_source(coco: dict) -> dict:
    """Return what a COCO file says about where its boxes come from."""
    source = (coco.get("info") or {}).get("bbox_source", "file")
    return dict(bbox_source=source)


def _check_found(
    content: dict,
    lines: Sequence[dict],
    left_out: dict[str, list[str]],
    settings: Detection,
) -> None:
    """Raise a ValueError if there is no person."""
    if content["annotations"]:
        return
    errors = [line["error"] for line in lines if "error" in line]
    if len(errors) == len(lines):
        raise ValueError(
            f"none of the {len(lines)} images of '{settings.source}' can be read: "
            f"{errors[0]}"
        )
    counts = ", ".join(f"{len(names)} {reason}" for reason, names in left_out.items())
    raise ValueError(
        f"the detector '{settings.detector}' found no person in any of the "
        f"{len(lines)} images of '{settings.source}' ({counts}); lower `score` or "
        "`min_size`, or use another detector"
    )


def describe_detected(result: Detected) -> str:
    """Say in one or more lines what was found and what is left out."""
    text = f"{result.num_people} people in {result.num_images} images"
    left_out = [f"{one['count']} {why}" for why, one in result.left_out.items()]
    return text + (f"; left out: {', '.join(left_out)}" if left_out else "")
