from __future__ import annotations

import mmcv
import numpy as np
from mmengine.fileio import get
from mmpose.datasets.transforms import LoadImage
from mmpose.registry import TRANSFORMS

_JPEG, _JPEG_SCAN, _JPEG_END = b"\xff\xd8", b"\xff\xda", b"\xff\xd9"
_PNG, _PNG_END = b"\x89PNG", b"IEND"
#: The colour types of MMCV that turn a picture as its EXIF orientation says.
_TURNING = ("color", "grayscale")


@TRANSFORMS.register_module()
class LoadIntactImage(LoadImage):
    """Loads an image as MMPose's ``LoadImage``, and refuses what is not all there.

    OpenCV decodes a JPEG file that was cut off to a picture whose rest is grey, and
    turns a picture as its EXIF orientation says, which not all annotations mean. Here

    - a JPEG or PNG file must have its end mark (bytes after it do no harm);
    - an image has the size that its annotation says. If it has not, but has it without
      being turned, then it is not turned. A picture upside down, or a square one, has
      the same size either way and is turned, as by ``LoadImage``.

    Whatever the file holds (16 bit, grey, a palette, transparency), the result is an
    image of 8 bits in BGR; transparency is dropped.

    Required Keys:

        - img_path
        - img (optional): An image that is loaded already, and is not checked.
        - annotated_shape (optional): Its height and width as of the annotation file.

    Modified Keys:

        - img
        - img_shape
        - ori_shape

    Args:
        kwargs: See :class:`mmpose.datasets.transforms.LoadImage`.
    """

    def transform(self, results: dict) -> dict:
        """Load the image of a sample.

        Args:
            results (dict): The sample.

        Returns:
            dict: The sample with its image.

        Raises:
            OSError: The file can't be read.
            ValueError: It is empty, cut off, no picture, or has another size than the
                annotation says.
        """
        if "img" not in results:
            image = self._load(results["img_path"], results.get("annotated_shape"))
            results["img"] = image.astype(np.float32) if self.to_float32 else image
        return super().transform(results)

    def _load(self, path: str, shape: tuple[float, float] | None) -> np.ndarray:
        content = get(path, backend_args=self.backend_args)
        if not _is_complete(content):
            raise ValueError(
                f"'{path}' is cut off: it ends after {len(content)} bytes, before the "
                "picture does; copy it again"
            )
        image = self._decode(path, content, self.color_type)
        if shape in (None, image.shape[:2]):
            return image
        if self.color_type in _TURNING:
            image = self._decode(path, content, f"{self.color_type}_ignore_orientation")
        if image.shape[:2] != shape:
            raise ValueError(
                f"'{path}' is {image.shape[1]} x {image.shape[0]} pixels, but "
                f"{shape[1]} x {shape[0]} in the annotation file; one of them is wrong"
            )
        return image

    def _decode(self, path: str, content: bytes, color_type: str) -> np.ndarray:
        image = mmcv.imfrombytes(content, color_type, backend=self.imdecode_backend)
        if image is None:
            raise ValueError(f"'{path}' can't be decoded; is it a picture?")
        return image


def _is_complete(content: bytes) -> bool:
    """Whether there is something, with an end if it is JPEG or PNG.

    A JPEG's preview, in its header, has an end mark of its own, before the picture.
    """
    if content.startswith(_JPEG):
        return content.endswith(_JPEG_END) or (
            content.rfind(_JPEG_END) > content.rfind(_JPEG_SCAN)
        )
    if content.startswith(_PNG):
        return content.rfind(_PNG_END) >= 0
    return len(content) > 0
