from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
from mmengine.dataset import DefaultSampler
from mmpose.registry import DATA_SAMPLERS
from torch.utils.data import Sampler

from ..seeding import SeededBatch
from .mixed_domain_dataset import MixedDomainDataset


@DATA_SAMPLERS.register_module()
class MixedDomainBatchSampler(Sampler):
    """Yields batches with a fixed number of samples per domain, in domain order.

    Use it as the ``batch_sampler`` of a data loader whose dataset is a
    :class:`MixedDomainDataset`::

        train_dataloader = dict(
            batch_size=64,
            sampler=dict(type='DefaultSampler', shuffle=True),
            batch_sampler=dict(
                type='MixedDomainBatchSampler',
                samples_per_domain=dict(source=32, target_unlabeled=32)))

    The people of a domain form an endless stream of permutations, each a function of
    the seed, the domain, and its number in the stream. A batch takes the next people of
    each domain. A domain that is smaller than an epoch starts every epoch with a new
    permutation; a larger one continues where the last epoch stopped, so that all of its
    people are seen. What an epoch yields depends on (seed, epoch) alone.

    Ranks divide the global batch: for the same total number of samples, several ranks
    together see in each step what a single rank would see. This includes the random
    transforms of a :class:`MixedDomainDataset`: a batch is a
    :class:`~mmpose_da.seeding.SeededBatch`, whose seeds depend on the sampler's seed,
    the epoch, the index of the batch in the epoch, the domain, and the position among
    all samples of the domain in the step.

    Args:
        sampler (DefaultSampler): MMEngine's, built by MMEngine. It provides the
            dataset, the seed, the epoch, the rank, the world size, and whether to
            shuffle.
        batch_size (int): Number of samples in a batch of one rank. MMEngine passes it
            from the data loader config.
        samples_per_domain (dict[str, int]): Number of samples of each domain in a batch
            of one rank. A domain with 0 is not used, and need not exist.
        epoch_domain (str, optional): The domain that is seen once per epoch. The last
            batch is filled up with its next permutation. Defaults to None: the first
            domain in a batch.
        drop_last (bool): Accepted for compatibility with MMEngine; all batches are
            full.

    Attributes:
        first_batch (int): Index of the batch with which the next iterator starts, to
            resume in the middle of an epoch. It applies to one iterator and is then
            reset to 0.

    Raises:
        TypeError: If the dataset is not a :class:`MixedDomainDataset`.
        ValueError: If the counts do not match the domains of the dataset or do not add
            up to the batch size, or ``epoch_domain`` is not one of the domains.
    """

    def __init__(
        self,
        sampler: DefaultSampler,
        batch_size: int,
        samples_per_domain: Mapping[str, int],
        epoch_domain: str | None = None,
        drop_last: bool = True,
    ) -> None:
        dataset = sampler.dataset
        if not isinstance(dataset, MixedDomainDataset):
            raise TypeError(
                "MixedDomainBatchSampler needs a MixedDomainDataset, but the dataset "
                f"is a {type(dataset).__name__}"
            )
        counts = dict(samples_per_domain)
        valid = all(isinstance(n, int) and n >= 0 for n in counts.values())
        used = {name for name, count in counts.items() if count}
        if not (valid and used <= set(dataset.domains) <= set(counts)):
            raise ValueError(
                f"samples_per_domain={counts} must give the number of samples of each "
                f"domain of the dataset, which has {dataset.domains}; with 0, a domain "
                "is not used"
            )
        if sum(counts.values()) != batch_size:
            raise ValueError(
                f"samples_per_domain={counts} makes batches of {sum(counts.values())}, "
                f"but the data loader's batch_size is {batch_size}"
            )
        in_batch = [name for name in dataset.domains if counts[name] > 0]
        epoch_domain = epoch_domain or next(iter(in_batch), None)
        if epoch_domain not in in_batch:
            raise ValueError(
                f"epoch_domain='{epoch_domain}' is not one of the domains in a batch, "
                f"{in_batch}"
            )
        self.sampler = sampler
        self.counts = [counts[name] for name in dataset.domains]
        self.sizes = dataset.lens
        position = dataset.domains.index(epoch_domain)
        world_count = self.counts[position] * sampler.world_size
        self.num_batches = -(-self.sizes[position] // world_count)
        self.first_batch = 0

    def __len__(self) -> int:
        """Return the number of batches of one rank in an epoch."""
        return self.num_batches

    def __iter__(self) -> Iterator[SeededBatch]:
        first, self.first_batch = self.first_batch, 0
        rank, world_size = self.sampler.rank, self.sampler.world_size
        streams, offset = [], 0
        for domain, (size, count) in enumerate(
            zip(self.sizes, self.counts, strict=True)
        ):
            taken = self._taken_before(size, self.num_batches * count * world_size)
            taken += first * count * world_size
            streams.append(self._stream(domain, size, taken, offset))
            offset += size
        for number in range(first, self.num_batches):
            step = self.sampler.seed, self.sampler.epoch, number
            indices, seeds = [], []
            for domain, count in enumerate(self.counts):
                world = [next(streams[domain]) for _ in range(count * world_size)]
                share = range(rank * count, (rank + 1) * count)
                indices += [world[place] for place in share]
                seeds += [(*step, domain, place) for place in share]
            yield SeededBatch(indices, seeds)

    def _taken_before(self, size: int, per_epoch: int) -> int:
        """Return the position in a domain's stream at the start of the epoch."""
        if per_epoch >= size:
            per_epoch = -(-per_epoch // size) * size
        return self.sampler.epoch * per_epoch

    def _stream(self, domain: int, size: int, start: int, offset: int) -> Iterator[int]:
        """Yield the global indices of one domain endlessly, from ``start`` on."""
        number, skip = divmod(start, size)
        while True:
            order = self._permutation(domain, size, number)
            yield from (offset + index for index in order[skip:])
            number, skip = number + 1, 0

    def _permutation(self, domain: int, size: int, number: int) -> list[int]:
        if not self.sampler.shuffle:
            return list(range(size))
        generator = np.random.default_rng([self.sampler.seed, domain, number])
        return generator.permutation(size).tolist()
