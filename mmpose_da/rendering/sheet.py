"""Contact sheets of the rendered domains."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import cv2
import numpy as np

from .domains import Domain, Sample, render_people
from .skeleton import JOINT_IDS
from .writer import COCO_SKELETON, sample_rng

#: BGR, by the side of a bone or a joint; cv2.line requires plain tuples.
COLORS = dict(left=(60, 160, 255), right=(255, 160, 40), middle=(80, 220, 80))
HIDDEN = (160, 160, 160)
GAP = 8  # white pixels between domains


def contact_sheet(
    domains: Sequence[Domain], rows: int, columns: int, seed: int = 0, size: int = 160
) -> np.ndarray:
    """Render people of each domain, side by side.

    Args:
        domains (Sequence[Domain]): Domains from left to right.
        rows (int): Rows of images. Joints are drawn on the lower half of them.
        columns (int): Columns of each domain.
        seed (int): Random seed. The images are the first ones of the ``train`` split of
            a dataset written with this seed.
        size (int): Side of an image in pixels.

    Returns:
        np.ndarray: (H, W, 3) uint8, BGR.
    """
    blocks = []
    for domain in domains:
        tiles = []
        for index in range(rows * columns):
            rng = sample_rng(seed, domain.name, "train", index)
            people = render_people(domain, rng, size)
            image = people[0].image
            if index // columns >= (rows + 1) // 2:
                for person in people:
                    image = draw_skeleton(replace(person, image=image))
            tiles.append(image)
        grid = np.reshape(tiles, (rows, columns, size, size, 3))
        block = grid.swapaxes(1, 2).reshape(rows * size, columns * size, 3)
        blocks += [block, np.full((rows * size, GAP, 3), 255, np.uint8)]
    return np.hstack(blocks[:-1])


def draw_skeleton(sample: Sample) -> np.ndarray:
    """Draw COCO's skeleton on the image (S, S, 3); hidden joints are gray."""
    image = sample.image.copy()
    # OpenCV's fixed-point coordinates, with four fractional bits.
    points = np.rint(sample.joints * 16).astype(int).tolist()
    for start, end in COCO_SKELETON:
        sides = {start.split("_")[0], end.split("_")[0]}
        side = sides.pop() if len(sides) == 1 else "middle"
        first, last = points[JOINT_IDS[start]], points[JOINT_IDS[end]]
        cv2.line(image, first, last, COLORS[side], 1, cv2.LINE_AA, 4)
    for name in dict.fromkeys(name for bone in COCO_SKELETON for name in bone):
        joint = JOINT_IDS[name]
        color = COLORS.get(name.split("_")[0], COLORS["middle"])
        color = color if sample.visible[joint] else HIDDEN
        cv2.circle(image, points[joint], 2 * 16, color, -1, cv2.LINE_AA, 4)
    return image
