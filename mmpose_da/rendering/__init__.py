"""Rendered people: two domains of synthetic images with known joints.

A body (:mod:`.skeleton`) takes a pose (:mod:`.poses`), is dressed (:mod:`.appearance`),
and is seen by a camera (:mod:`.camera`). :mod:`.renderer` and :mod:`.scenery` draw the
image. :mod:`.domains` defines what the images of a domain have in common, and
:mod:`.writer` writes a dataset of them.
"""

from .camera import Camera, sample_camera
from .domains import DOMAINS, STREET, STUDIO, Domain, Sample, render_sample
from .poses import sample_pose
from .sheet import contact_sheet, draw_skeleton
from .skeleton import (
    JOINT_IDS,
    JOINT_NAMES,
    Body,
    Pose,
    forward_kinematics,
    sample_body,
)
from .writer import is_written, sample_rng, write_domain

__all__ = [
    "DOMAINS",
    "JOINT_IDS",
    "JOINT_NAMES",
    "STREET",
    "STUDIO",
    "Body",
    "Camera",
    "Domain",
    "Pose",
    "Sample",
    "contact_sheet",
    "draw_skeleton",
    "forward_kinematics",
    "is_written",
    "render_sample",
    "sample_body",
    "sample_camera",
    "sample_pose",
    "sample_rng",
    "write_domain",
]
