"""Images of all kinds, complete and damaged: each table row is one of them.

An image is loaded as it is, or an error names it.
"""

import io
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image, ImageOps
from tiny_domains import TRAIN_PIPELINE, edit_json

from mmpose_da.datasets import LoadIntactImage, MixedDomainDataset

HEIGHT, WIDTH = 60, 80


def picture(*channels: int, dtype=np.uint8) -> np.ndarray:
    """Smooth, so that JPEG keeps it; in RGB."""
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    planes = [100 + y, 50 + 2 * x, 220 - x - y, np.full_like(x, 77)]
    top = 257 if dtype == np.uint16 else 1
    image = np.stack([planes[c] * top for c in channels], -1).astype(dtype)
    return image[..., 0] if len(channels) == 1 else image


RGB, RGBA, GRAY = picture(0, 1, 2), picture(0, 1, 2, 3), picture(0)


RGB16, GRAY16 = (picture(*c, dtype=np.uint16) for c in ((0, 1, 2), (0,)))


BGR, GRAY_BGR = RGB[..., ::-1], np.stack([GRAY] * 3, -1)


def encode(image: np.ndarray | Image.Image, kind: str, **options) -> bytes:
    if not isinstance(image, Image.Image):
        image = Image.fromarray(image)
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def encode16(rgb: np.ndarray) -> bytes:
    """A PNG of 16 bits, which Pillow does not write in color."""
    return cv2.imencode(".png", rgb[..., ::-1] if rgb.ndim == 3 else rgb)[1].tobytes()


def turned(orientation: int, image: np.ndarray = RGB) -> bytes:
    """A picture whose EXIF data asks to show it rotated."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    return encode(image, "JPEG", exif=exif, quality=95)


def with_preview(content: bytes) -> bytes:
    """A JPEG whose header contains a small JPEG with its own end marker."""
    preview = b"Exif\0\0" + encode(RGB[:8, :8], "JPEG")
    segment = b"\xff\xe1" + (len(preview) + 2).to_bytes(2, "big") + preview
    return content[:2] + segment + content[2:]


def damaged(content: bytes) -> bytes:
    """With other bytes in the middle."""
    middle = len(content) // 2
    return content[:middle] + bytes(20) + content[middle + 20 :]


JPEG, PNG = encode(RGB, "JPEG", quality=95), encode(RGB, "PNG")


PALETTE = Image.fromarray(RGB // 64 * 64).quantize(256)


CUT_OFF = "000003.* is truncated"


IMAGES = {
    # what is in the file: (content, the image in BGR or what the error says)
    "JPEG cut off": (JPEG[: len(JPEG) // 2], CUT_OFF),
    "JPEG cut off before its last byte": (JPEG[:-1], CUT_OFF),
    "JPEG cut off after its preview": (
        with_preview(JPEG)[: len(JPEG) // 2 + 900],
        CUT_OFF,
    ),
    "JPEG cut off and filled up": (JPEG[: len(JPEG) // 2] + bytes(99), CUT_OFF),
    "JPEG with bytes after its end": (JPEG + b"\n\0more", BGR),
    "JPEG with a preview": (with_preview(JPEG), BGR),
    "PNG cut off": (PNG[: len(PNG) // 2], CUT_OFF),
    "PNG with bytes after its end": (PNG + b"more", BGR),
    "PNG with damage": (damaged(PNG), "000003.* cannot be decoded"),
    "empty": (b"", CUT_OFF),
    "a text": (b"<html>404</html>", "000003.* cannot be decoded"),
    "no file": (None, "No such file.*000003"),
    "16 bit": (encode16(RGB16), BGR),
    "16 bit, gray": (encode16(GRAY16), GRAY_BGR),
    "gray PNG": (encode(GRAY, "PNG"), GRAY_BGR),
    "gray JPEG": (encode(GRAY, "JPEG", quality=95), GRAY_BGR),
    "gray and transparent": (
        encode(Image.merge("LA", [Image.fromarray(GRAY)] * 2), "PNG"),
        GRAY_BGR,
    ),
    "transparent": (encode(RGBA, "PNG"), BGR),
    "palette": (
        encode(PALETTE, "PNG"),
        np.asarray(PALETTE.convert("RGB"))[..., ::-1],
    ),
    "1 bit": (
        encode(Image.fromarray(GRAY > 130), "PNG"),
        (GRAY_BGR > 130) * np.uint8(255),
    ),
    "CMYK": (encode(Image.fromarray(RGB).convert("CMYK"), "JPEG", quality=95), BGR),
    "of another size": (
        encode(RGB[:50], "PNG"),
        "000003.* is 80 x 50 pixels, but 80 x 60",
    ),
    "turned, and of another size": (
        turned(6, RGB[:50]),
        "000003.* is 80 x 50 pixels, but 80 x 60",
    ),
}


@pytest.fixture
def third_image(coco):
    """The dataset whose third image has a given content and size."""

    def load(content: bytes | None, size=(WIDTH, HEIGHT)) -> MixedDomainDataset:
        edit_json(
            coco["ann_file"],
            lambda c: c["images"][2].update(width=size[0], height=size[1]),
        )
        path = Path(coco["data_prefix"]["img"]) / "000003.png"
        path.unlink()
        if content is not None:
            path.write_bytes(content)
        return MixedDomainDataset(
            "MpiiDataset", coco, pipeline=[dict(type="LoadImage")]
        )

    return load


@pytest.mark.parametrize("content, expected", IMAGES.values(), ids=IMAGES)
def test_image(third_image, content, expected):
    dataset = third_image(content)
    if isinstance(expected, str):
        with pytest.raises(RuntimeError, match=expected) as error:
            dataset[2]
        assert "annotation 30 of the domain 'source'" in str(error.value)
    else:
        image = dataset[2]["img"]
        assert image.dtype == np.uint8 and image.shape == expected.shape
        exact = not content.startswith(b"\xff\xd8")  # no JPEG
        assert np.abs(image.astype(int) - expected).max() <= (0 if exact else 8)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("size", [(WIDTH, HEIGHT), (HEIGHT, WIDTH)])
def test_image_is_turned_as_its_annotation_says(third_image, orientation, size):
    shown = ImageOps.exif_transpose(Image.open(io.BytesIO(turned(orientation))))
    dataset = third_image(turned(orientation), size)
    if shown.size == size:
        expected = np.asarray(shown)[..., ::-1]
    elif size == (WIDTH, HEIGHT):
        expected = BGR
    else:
        with pytest.raises(RuntimeError, match="000003.* is 80 x 60 pixels, but 60 x"):
            dataset[2]
        return
    image = dataset[2]["img"]
    assert image.shape == expected.shape
    assert np.abs(image.astype(int) - expected).max() <= 8


def test_image_of_one_pixel(mpii):
    """MPII's annotations have no size; the person is what is around the pixel."""
    path = Path(mpii["data_prefix"]["img"]) / "000003.png"
    Image.fromarray(RGB[:1, :1]).save(path)
    dataset = MixedDomainDataset("MpiiDataset", mpii, pipeline=TRAIN_PIPELINE)
    assert dataset[2]["inputs"].shape == (3, 64, 64)


def test_image_that_is_loaded_already_is_not_read(tmp_path):
    results = LoadIntactImage()(dict(img=RGB, img_path=str(tmp_path / "none.png")))
    assert results["img"] is RGB and results["img_shape"] == (HEIGHT, WIDTH)


def test_image_as_floats(tmp_path):
    (tmp_path / "image.png").write_bytes(PNG)
    load = LoadIntactImage(to_float32=True)
    image = load(dict(img_path=str(tmp_path / "image.png")))["img"]
    assert image.dtype == np.float32
    np.testing.assert_array_equal(image, BGR)
