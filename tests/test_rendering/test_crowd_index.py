import numpy as np
import pytest

from mmpose_da.rendering import crowd_index, level_shares


def slow_index(boxes, keypoints):
    ratios = []
    for i, (x, y, width, height) in enumerate(boxes):
        own = others = 0
        for j, person in enumerate(keypoints):
            for u, v, flag in person:
                if flag == 0:
                    continue
                if i == j:
                    own += 1
                elif x <= u <= x + width and y <= v <= y + height:
                    others += 1
        if own:
            ratios.append(others / own)
    return sum(ratios) / len(ratios) if ratios else 0.0


def test_index_is_that_of_a_loop():
    rng = np.random.default_rng(0)
    values = []
    for _ in range(200):
        people = rng.integers(1, 5)
        corner = rng.integers(0, 12, (people, 2))
        extent = rng.integers(0, 22, (people, 2))
        points = rng.integers(0, 20, (people, 14, 2))  # often on the edge of a box
        flags = rng.integers(0, 3, (people, 14, 1))
        flags[rng.random(people) < 0.2] = 0
        boxes = np.concatenate([corner, extent], axis=1)
        keypoints = np.concatenate([points, flags], axis=2)
        values.append(crowd_index(boxes, keypoints))
        assert values[-1] == pytest.approx(slow_index(boxes, keypoints), abs=1e-12)
    assert min(values) == 0 and max(values) > 1


def test_index_of_two_people_by_hand():
    joints = [[0, 0, 2], [4, 0, 1], [0, 4, 2], [4, 4, 2]]
    beside = [[u + 3, v, flag] for u, v, flag in joints]
    # Two of four joints of each are in the other's box, whether seen or not.
    assert crowd_index([[0, 0, 4, 4], [3, 0, 4, 4]], [joints, beside]) == 0.5
    unlabeled = [[u, v, 0] for u, v, _ in beside]
    assert crowd_index([[0, 0, 4, 4], [3, 0, 4, 4]], [joints, unlabeled]) == 0
    assert crowd_index([[0, 0, 4, 4]], [joints]) == 0
    # Twice as many joints of others as of their own.
    assert crowd_index([[0, 0, 4, 4]] * 3, [joints] * 3) == 2


def test_levels_are_those_of_the_metric():
    shares = level_shares([0.0, 0.19, 0.2, 0.79, 0.8, 1.0, 2.5, 0.5])
    assert shares == dict(easy=0.25, medium=0.375, hard=0.375)
    assert level_shares([0.1]) == dict(easy=1.0, medium=0.0, hard=0.0)
    assert level_shares([]) == dict(easy=0.0, medium=0.0, hard=0.0)
