"""The page of a report: one HTML file that needs nothing else."""

from __future__ import annotations

import base64
import re
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from ...engine import AtomicLocalBackend

JPEG_QUALITY = 88


@dataclass(frozen=True)
class Text:
    """A paragraph."""

    text: str
    kind: str = field(default="text", init=False)


@dataclass(frozen=True)
class Table:
    """A table, whose first column names the rows.

    Attributes:
        caption (str): What it shows.
        columns (Sequence[str]): The head of each column.
        rows (Sequence[Sequence[str]]): The cells of each row.
        marked (frozenset[int]): Rows that need attention. Defaults to none.
        folded (bool): Whether it is shown only on demand. Defaults to False.
    """

    caption: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    marked: frozenset[int] = frozenset()
    folded: bool = False
    kind: str = field(default="table", init=False)


@dataclass(frozen=True)
class Picture:
    """A picture, embedded in the page.

    Attributes:
        data (str): The file as a ``data:`` address.
        text (str): What it shows, for those who do not see it.
        caption (str): The line below it.
    """

    data: str
    text: str
    caption: str = ""
    kind: str = field(default="picture", init=False)


@dataclass(frozen=True)
class Gallery:
    """Small pictures side by side, as many as the width allows."""

    pictures: Sequence[Picture]
    kind: str = field(default="gallery", init=False)


Block = Text | Table | Picture | Gallery


@dataclass(frozen=True)
class Section:
    """A section of the page.

    Attributes:
        title (str): The title.
        blocks (Sequence[Block]): The content.
        missing (str): Why there is no content, and what to do. Defaults to '': there
            is.
    """

    title: str
    blocks: Sequence[Block] = ()
    missing: str = ""

    @property
    def anchor(self) -> str:
        """The name by which the page links to it."""
        return re.sub(r"[^a-z]+", "-", self.title.lower()).strip("-")


def render_page(
    title: str, subtitle: str, warnings: Sequence[str], sections: Sequence[Section]
) -> str:
    """Return a report as an HTML page with its styles and pictures.

    Args:
        title (str): The title.
        subtitle (str): The line below it.
        warnings (Sequence[str]): What to look at first.
        sections (Sequence[Section]): The content.
    """
    folder = Path(__file__).parent
    environment = Environment(
        loader=FileSystemLoader(folder),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("report.html").render(
        title=title,
        subtitle=subtitle,
        warnings=warnings,
        sections=sections,
        style=(folder / "report.css").read_text(encoding="utf-8"),
    )


def write_page(text: str, path: str | Path) -> None:
    """Write a page, which is complete or absent."""
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    AtomicLocalBackend().put_text(text, path)


def plotted(draw: Callable[[Path], None], text: str, caption: str = "") -> Picture:
    """Embed what a function of :mod:`mmpose_da.visualization` writes to a file.

    Args:
        draw (Callable[[Path], None]): Writes the picture to a path that ends in
            ``.png``.
        text (str): What it shows, for those who do not see it.
        caption (str): The line below it. Defaults to ''.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "picture.png")
        draw(path)
        return Picture(_address("png", path.read_bytes()), text, caption)


def photo(pixels: np.ndarray, text: str, caption: str = "") -> Picture:
    """Embed RGB pixels (H, W, 3), 8 bits, as a JPEG; see :func:`plotted`."""
    quality = [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY]
    _, content = cv2.imencode(".jpg", np.ascontiguousarray(pixels[..., ::-1]), quality)
    return Picture(_address("jpeg", content.tobytes()), text, caption)


def _address(kind: str, content: bytes) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(content).decode()}"
