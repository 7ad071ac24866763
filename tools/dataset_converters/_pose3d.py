"""Utilities shared by the converters: 3D joints, in the format of `Pose3dDataset`."""

import argparse
from collections.abc import Sequence

import numpy as np
from _coco import CocoFile, ConversionError

#: Focal lengths and center in px: fx, fy, cx, cy.
Camera = tuple[float, float, float, float]


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of the 3D file to the parser of a converter."""
    parser.add_argument(
        "--only-2d", action="store_true", help="write no file with 3D joints"
    )
    parser.add_argument(
        "--max-error",
        type=float,
        default=1.0,
        help="largest distance, in px, of projected 3D joints from the 2D joints",
    )


def project(joints: np.ndarray, camera: Camera) -> np.ndarray:
    """Project joints (..., 3) in the frame of a camera to pixels (..., 2)."""
    return joints[..., :2] / joints[..., 2:] * camera[:2] + camera[2:]


def check_projection(
    what: str, projected: np.ndarray, annotated: np.ndarray, max_error: float
) -> None:
    """Check that 3D joints are where the 2D joints (K, 2) of a release are.

    Raises:
        ConversionError: If a joint is not, by more than ``max_error`` px; it says
            ``what``, and by how much.
    """
    error = np.linalg.norm(projected - annotated, axis=-1).max()
    if not error <= max_error:  # nor if it is not a number
        raise ConversionError(
            f"the 3D joints of {what} are projected {error:.1f} px from its 2D joints; "
            f"--max-error allows {max_error:g} px"
        )


class Pose3dFile(CocoFile):
    """Builds a file for :class:`mmpose_da.datasets.Pose3dDataset`.

    Args:
        bbox_source (str): See :class:`CocoFile`.
    """

    def __init__(self, bbox_source: str):
        super().__init__("Pose3dDataset", bbox_source=bbox_source)

    def add_pose(
        self,
        file_name: str,
        size: tuple[int, int],
        joints: np.ndarray,
        camera: Camera,
        flags: np.ndarray,
        box: Sequence[float],
    ) -> None:
        """Add one person. The 2D joints are the projections of the 3D joints.

        Args:
            file_name (str): See :meth:`CocoFile.add`, as for ``size`` and ``box``.
            size (tuple[int, int]): Width and height of the image.
            joints (np.ndarray): The joints (17, 3) in mm in the frame of the camera: x
                to the right, y down, z forward.
            camera (tuple[float, float, float, float]): fx, fy, cx, cy in px.
            flags (np.ndarray): COCO's visibility flag of every 2D joint (17,). All 3D
                joints are written.
            box (Sequence[float]): x, y, width, and height.
        """
        self.add(file_name, size, project(joints, camera), flags, box)
        self.images[file_name]["camera"] = [float(value) for value in camera]
        # To a thousandth of a millimeter, as the 2D joints are of a pixel.
        self.annotations[-1]["keypoints_3d"] = np.round(joints, 3).ravel().tolist()
