from dataclasses import replace

import numpy as np

from mmpose_da.rendering import (
    CROWD,
    STREET,
    STUDIO,
    contact_sheet,
    draw_skeleton,
    render_people,
    render_sample,
    sample_rng,
)
from mmpose_da.rendering.sheet import GAP


def test_images_above_and_joints_below_for_each_domain():
    sheet = contact_sheet((STUDIO, STREET), rows=2, columns=3, seed=5, size=48)
    assert sheet.shape == (2 * 48, 2 * 3 * 48 + GAP, 3)
    for domain, left in ((STUDIO, 0), (STREET, 3 * 48 + GAP)):
        for index in range(6):
            sample = render_sample(
                domain, sample_rng(5, domain.name, "train", index), 48
            )
            row, column = divmod(index, 3)
            x = left + 48 * column
            tile = sheet[48 * row : 48 * (row + 1), x : x + 48]
            expected = draw_skeleton(sample) if row else sample.image
            np.testing.assert_array_equal(tile, expected)


def test_the_skeleton_is_drawn_at_the_joints_only():
    sample = render_sample(STUDIO, sample_rng(0, "studio", "train", 0), 96)
    changed = (draw_skeleton(sample) != sample.image).any(axis=-1)
    joints = np.rint(sample.joints[:17]).astype(int)
    assert changed[joints[:, 1], joints[:, 0]].all()
    rows, columns = np.nonzero(changed)
    low, high = joints.min(axis=0) - 4, joints.max(axis=0) + 4
    assert columns.min() >= low[0] and columns.max() <= high[0]
    assert rows.min() >= low[1] and rows.max() <= high[1]


def test_everybody_in_a_crowd_gets_a_skeleton():
    sheet = contact_sheet((CROWD,), rows=2, columns=1, seed=5, size=96)
    people = render_people(CROWD, sample_rng(5, "crowd", "train", 1), 96)
    image = people[0].image
    for person in people:
        image = draw_skeleton(replace(person, image=image))
    np.testing.assert_array_equal(sheet[96:], image)
    changed = (image != people[0].image).any(axis=-1)
    for person in people:
        joints = np.rint(person.joints[:17]).astype(int)
        assert changed[joints[:, 1], joints[:, 0]].all()
