"""Rendered people: domains of synthetic images with known joints.

A body (:mod:`.skeleton`) takes a pose (:mod:`.poses`), is dressed (:mod:`.appearance`),
and is seen by a camera (:mod:`.camera`). :mod:`.renderer` and :mod:`.scenery` draw the
image. :mod:`.domains` defines what the images of a domain have in common, and
:mod:`.writer` writes a dataset of them.
"""

from .camera import Camera, sample_camera
from .crowd_index import crowd_index, level_shares
from .domains import (
    CROWD,
    DOMAINS,
    STREET,
    STUDIO,
    Crowd,
    Domain,
    Sample,
    render_people,
    render_sample,
)
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
    "CROWD",
    "DOMAINS",
    "JOINT_IDS",
    "JOINT_NAMES",
    "STREET",
    "STUDIO",
    "Body",
    "Camera",
    "Crowd",
    "Domain",
    "Pose",
    "Sample",
    "contact_sheet",
    "crowd_index",
    "draw_skeleton",
    "forward_kinematics",
    "is_written",
    "level_shares",
    "render_people",
    "render_sample",
    "sample_body",
    "sample_camera",
    "sample_pose",
    "sample_rng",
    "write_domain",
]
