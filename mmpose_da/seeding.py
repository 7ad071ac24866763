"""Random seeds that depend on the position in a run, not on its history."""

import random
from collections.abc import Sequence

import numpy as np
import torch


def seed_all(*key: int) -> None:
    """Seed Python, NumPy, and PyTorch, including CUDA, with a few integers.

    The global generators then have no history: what they generate depends on the key
    alone, regardless of the process and of earlier draws.

    Args:
        key (int): Non-negative integers, such as a seed, a rank, and an iteration.
    """
    words = np.random.SeedSequence(key).generate_state(8)
    random.seed(words[:4].tobytes())
    np.random.seed(words[4:6])
    seed = int.from_bytes(words[6:].tobytes(), "little")
    # Not torch.manual_seed: where CUDA is not in use, as in data loader workers, it
    # queues a CUDA call for later, which makes it ten times slower.
    torch.default_generator.manual_seed(seed)
    if torch.cuda.is_initialized():
        torch.cuda.manual_seed_all(seed)


class SeededBatch(list):
    """Dataset indices of a batch, with a seed for each sample's transforms.

    Args:
        indices (Sequence[int]): Indices into the dataset.
        seeds (Sequence[tuple[int, ...]]): A key of :func:`seed_all` for each index.
    """

    def __init__(
        self, indices: Sequence[int] = (), seeds: Sequence[tuple[int, ...]] = ()
    ) -> None:
        super().__init__(indices)
        self.seeds = list(seeds)
