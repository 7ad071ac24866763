"""The images that people are looked for in: a folder, a COCO file, or a video."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from ...datasets.load_intact_image import LoadIntactImage
from ...engine import AtomicLocalBackend
from ..work_files import Journal, read_json

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff")
#: Frames per second that are taken from a video by default.
FRAMES_PER_SECOND = 2.0
JPEG_QUALITY = 95
#: Why a frame of a video is not used.
DUPLICATE = "frames that nearly equal the one before"

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Images:
    """Images in a folder.

    Attributes:
        folder (Path): The folder.
        names (dict[str, int]): The id of each image by its path in the folder.
        coco (dict, optional): The content of the COCO file that lists them.
    """

    folder: Path
    names: dict[str, int]
    coco: dict | None = None

    @property
    def digest(self) -> str:
        """A fingerprint of the names and ids."""
        text = "\n".join(f"{identity} {name}" for name, identity in self.names.items())
        return hashlib.sha256(text.encode()).hexdigest()[:16]


def is_video(source: str | Path) -> bool:
    """Return whether a source is neither a folder nor a COCO file.

    Raises:
        FileNotFoundError: If it does not exist.
        ValueError: If it is a single image.
    """
    path = Path(source)
    if not path.exists():
        raise FileNotFoundError(f"there is no folder, video, or COCO file '{source}'")
    if path.suffix.lower() in IMAGE_SUFFIXES and path.is_file():
        raise ValueError(f"'{source}' is a single image; give the folder that has it")
    return path.is_file() and path.suffix.lower() != ".json"


def list_images(source: str | Path, folder: str | Path | None = None) -> Images:
    """List the images of a folder, with its subfolders, or of a COCO file.

    Args:
        source (str | Path): The folder or the file.
        folder (str | Path, optional): The image folder of a COCO file. Defaults to
            None: the folder of the file.

    Returns:
        Images: The images, in the order of their names or of the file.

    Raises:
        FileNotFoundError: If the source or the first image does not exist.
        ValueError: If there are no images, or the file is not in COCO format.
    """
    source = Path(source)
    if source.is_dir():
        if folder is not None:
            raise ValueError("an image folder is given, but the source is a folder")
        paths = (p for p in source.rglob("*") if p.suffix.lower() in IMAGE_SUFFIXES)
        found = sorted(str(path.relative_to(source)) for path in paths)
        if not found:
            raise ValueError(
                f"'{source}' has no images: no file ends in {', '.join(IMAGE_SUFFIXES)}"
            )
        names = {name: index for index, name in enumerate(found, 1)}
        return Images(source.resolve(), names)
    coco = read_json(source)
    try:
        names = {image["file_name"]: int(image["id"]) for image in coco["images"]}
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(
            f"'{source}' is not in COCO format: it needs a list `images`, each with "
            f"an integer `id` and a `file_name` ({type(error).__name__}: {error})"
        ) from error
    if not names:
        raise ValueError(f"'{source}' lists no images")
    if len(set(names.values())) < len(coco["images"]):
        raise ValueError(f"'{source}' lists an image or an id more than once")
    place = source.parent if folder is None else Path(folder)
    first = place / next(iter(names))
    if not first.is_file():
        raise FileNotFoundError(
            f"the image '{first}' of '{source}' does not exist; give the folder of the "
            "images"
        )
    return Images(place.resolve(), names, coco)


def read_image(path: str | Path) -> np.ndarray:
    """Read an image as training does: intact, 8-bit BGR, turned as EXIF says.

    Raises:
        OSError: If the file cannot be read.
        ValueError: If it is empty, truncated, or not an image. Both name the file.
    """
    return LoadIntactImage().transform(dict(img_path=str(path)))["img"]


def perceptual_hash(image: np.ndarray) -> np.ndarray:
    """Return the 255 bits that describe how an image looks.

    These are the signs of the lowest frequencies of its cosine transform relative to
    their median (Zauner, "Implementation and Benchmarking of Perceptual Image Hash
    Functions", 2010, Sec. 3.2.1), for 16 x 16 frequencies of 64 x 64 pixels: with the
    usual 8 x 8, a person who moves before a fixed background changes too few bits.

    Args:
        image (np.ndarray): BGR (H, W, 3), 8 bits.

    Returns:
        np.ndarray: Boolean (255,).
    """
    gray = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)
    small = cv2.resize(gray, (64, 64), interpolation=cv2.INTER_AREA)
    low = cv2.dct(small.astype(np.float32))[:16, :16].ravel()[1:]
    return low > np.median(low)


class Video:
    """A video file that OpenCV reads.

    Args:
        path (str | Path): The file.

    Raises:
        ValueError: If OpenCV cannot read it.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self._capture = cv2.VideoCapture(str(path))
        if not self._capture.isOpened():
            raise ValueError(
                f"'{path}' is not a folder, a COCO file (.json), or a video that "
                "OpenCV can read"
            )
        #: Number of frames, as far as the file says.
        self.length = max(0, int(self._capture.get(cv2.CAP_PROP_FRAME_COUNT)))
        self.rate = float(self._capture.get(cv2.CAP_PROP_FPS))

    @property
    def default_step(self) -> int:
        """Every how many frames one is taken for about two per second."""
        return max(1, round(self.rate / FRAMES_PER_SECOND))

    def frames(self, step: int, start: int = 0) -> Iterator[tuple[int, np.ndarray]]:
        """Yield every ``step``-th frame with its number, from number ``start`` on.

        The frames before are decoded but not converted: seeking is not exact.
        """
        index = 0
        while self._capture.grab():
            if index >= start and index % step == 0:
                read, image = self._capture.retrieve()
                if read:
                    yield index, image
            index += 1


def extract_frames(
    video: str | Path,
    folder: str | Path,
    step: int | None = None,
    duplicates: int = 6,
    progress: Progress | None = None,
) -> dict[str, list[str]]:
    """Write frames of a video to a folder, or resume where this was interrupted.

    Args:
        video (str | Path): The video.
        folder (str | Path): The folder for the images ``000000.jpg``, ...; the number
            is that of the frame.
        step (int, optional): Take every frame whose number is a multiple of this.
            Defaults to None: about two per second.
        duplicates (int): Drop a frame if its :func:`perceptual_hash` differs in at most
            this many of 255 bits from that of the last frame kept; -1 keeps all.
            Defaults to 6.
        progress (Callable[[int, int], None], optional): Called with the completed and
            the total number of frames, as far as the video says. Defaults to None.

    Returns:
        dict[str, list[str]]: The frames that are left out, by reason.

    Raises:
        ValueError: If the video cannot be read, or has no frame.
    """
    source, folder = Video(video), Path(folder)
    step = source.default_step if step is None else step
    with Journal(folder.with_name(f"{folder.name}.jsonl")) as journal:
        last = None
        for line in journal.lines:
            if line["kept"]:
                last = line["hash"]
        start = journal.lines[-1]["frame"] + 1 if journal.lines else 0
        for index, image in source.frames(step, start):
            bits = perceptual_hash(image)
            kept = last is None or int((bits != _bits(last)).sum()) > duplicates
            if kept:
                quality = [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY]
                encoded = cv2.imencode(".jpg", image, quality)[1]
                AtomicLocalBackend().put(encoded.tobytes(), folder / _name(index))
                last = np.packbits(bits).tobytes().hex()
            journal.append(dict(frame=index, kept=kept, hash=last))
            if progress is not None:
                progress(index, max(source.length, index))
        if not journal.lines:
            raise ValueError(f"the video '{video}' has no frame that OpenCV can decode")
        dropped = [_name(line["frame"]) for line in journal.lines if not line["kept"]]
    return {DUPLICATE: dropped} if dropped else {}


def _name(index: int) -> str:
    return f"{index:06d}.jpg"


def _bits(text: str) -> np.ndarray:
    return np.unpackbits(np.frombuffer(bytes.fromhex(text), np.uint8))[:255] > 0
