import pickle
import random

import numpy as np
import torch

from mmpose_da.seeding import SeededBatch, seed_all


def draw() -> tuple:
    return random.random(), np.random.rand(), torch.rand(()).item()


def test_numbers_depend_on_the_key_alone():
    seed_all(3, 1, 4)
    first = draw()
    draw()
    seed_all(3, 1, 4)
    assert draw() == first
    others = []
    for key in ((3, 1, 5), (3, 0, 4), (2, 1, 4), (3, 1), (3, 1, 4, 0, 0)):
        seed_all(*key)
        others.append(draw())
    drawn = [first, *others]
    for of_one_generator in zip(*drawn, strict=True):
        assert len(set(of_one_generator)) == len(drawn)


def test_keys_in_a_row_give_independent_numbers():
    means = []
    for i in range(500):
        seed_all(0, 0, i)
        means.append(draw())
    # Standard error of the mean of 500 uniform numbers: 0.013.
    assert np.abs(np.mean(means, axis=0) - 0.5).max() < 0.06
    lagged = np.corrcoef(np.array(means[:-1]).T, np.array(means[1:]).T)[:3, 3:]
    assert np.abs(lagged).max() < 0.2


def test_a_batch_keeps_its_seeds_on_the_way_to_a_worker():
    batch = pickle.loads(pickle.dumps(SeededBatch([4, 2], [(0, 1), (0, 2)])))
    assert batch == [4, 2] and batch.seeds == [(0, 1), (0, 2)]
