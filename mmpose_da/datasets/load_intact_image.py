from __future__ import annotations

import mmcv
import numpy as np
from mmengine.fileio import get
from mmpose.datasets.transforms import LoadImage
from mmpose.registry import TRANSFORMS

_JPEG, _JPEG_SCAN, _JPEG_END = b"\xff\xd8", b"\xff\xda", b"\xff\xd9"
_PNG, _PNG_END = b"\x89PNG", b"IEND"
#: MMCV's color types that rotate an image by its EXIF orientation.
_TURNING = ("color", "grayscale")


@TRANSFORMS.register_module()
class LoadIntactImage(LoadImage):
    """Loads an image like MMPose's ``LoadImage``, but rejects incomplete files.

    OpenCV decodes a truncated JPEG file to an image whose remainder is gray, and
    rotates an image by its EXIF orientation, which not all annotations assume. With
    this transform,

    - a JPEG or PNG file must have its end marker (bytes after it do no harm);
    - an image must have the annotated size. If it has this size only without rotation,
      it is not rotated. An upside-down or a square image has the same size either way
      and is rotated, as by ``LoadImage``.

    Whatever the file holds (16 bits, grayscale, a palette, transparency), the result is
    an 8-bit BGR image; transparency is dropped.

    Required Keys:

        - img_path
        - img (optional): An image that is already loaded. It is not checked.
        - annotated_shape (optional): Its height and width in the annotation file.

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
            OSError: If the file cannot be read.
            ValueError: If it is empty, truncated, not an image, or not of the annotated
                size.
        """
        if "img" not in results:
            image = self._load(results["img_path"], results.get("annotated_shape"))
            results["img"] = image.astype(np.float32) if self.to_float32 else image
        return super().transform(results)

    def _load(self, path: str, shape: tuple[float, float] | None) -> np.ndarray:
        content = get(path, backend_args=self.backend_args)
        if not _is_complete(content):
            raise ValueError(
                f"'{path}' is truncated: it ends after {len(content)} bytes, before "
                "the end of the image; copy it again"
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
            raise ValueError(f"'{path}' cannot be decoded; is it an image?")
        return image


def _is_complete(content: bytes) -> bool:
    """Return whether a file is not empty and, if JPEG or PNG, has its end marker.

    The preview in a JPEG header has its own end marker, before the image data.
    """
    if content.startswith(_JPEG):
        return content.endswith(_JPEG_END) or (
            content.rfind(_JPEG_END) > content.rfind(_JPEG_SCAN)
        )
    if content.startswith(_PNG):
        return content.rfind(_PNG_END) >= 0
    return len(content) > 0
