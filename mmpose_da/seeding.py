"""Random numbers as a function of where a training is, not of how it came there."""

import random
from collections.abc import Sequence

import numpy as np
import torch


def seed_all(*key: int) -> None:
    """Seed Python, NumPy and PyTorch, with CUDA, by a few integers.

    The global generators have no history then: what they give depends on the key
    alone, whichever process draws from them, and whatever it has drawn before.

    Args:
        key (int): Not negative, such as a seed, a rank and an iteration.
    """
    words = np.random.SeedSequence(key).generate_state(8)
    random.seed(words[:4].tobytes())
    np.random.seed(words[4:6])
    seed = int.from_bytes(words[6:].tobytes(), "little")
    # Not torch.manual_seed, which leaves a note for CUDA where it is not in use, as in
    # the workers of a loader, and takes ten times as long for it.
    torch.default_generator.manual_seed(seed)
    if torch.cuda.is_initialized():
        torch.cuda.manual_seed_all(seed)


class SeededBatch(list):
    """Indices of a batch, with the seeds of their samples' random transforms.

    Args:
        indices (Sequence[int]): As a dataset takes them.
        seeds (Sequence[tuple[int, ...]]): For each a key of :func:`seed_all`.
    """

    def __init__(
        self, indices: Sequence[int] = (), seeds: Sequence[tuple[int, ...]] = ()
    ) -> None:
        super().__init__(indices)
        self.seeds = list(seeds)
