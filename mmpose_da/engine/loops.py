"""Training loops that can be resumed exactly."""

from __future__ import annotations

import bisect
import logging
from collections.abc import Iterator
from typing import Any

from mmengine.dataset import DefaultSampler
from mmengine.dist import get_rank
from mmengine.logging import print_log
from mmengine.runner import EpochBasedTrainLoop, Runner
from mmpose.registry import LOOPS
from torch import nn
from torch.utils.data import DataLoader

from ..datasets import MixedDomainBatchSampler
from ..seeding import seed_all


@LOOPS.register_module()
class ExactEpochBasedTrainLoop(EpochBasedTrainLoop):
    """Epoch-based training loop that can be resumed exactly.

    A run that is killed at any point and resumed ends with the same weights, loss
    history, and metrics as an uninterrupted run, bit for bit as far as PyTorch's
    operations are deterministic (``randomness.deterministic``).

    The state of the random generators is not saved. Instead, every iteration seeds them
    with the seed of the run, the rank, and the iteration number, and every sample seeds
    them with its position in the global batch (see
    :class:`~mmpose_da.datasets.MixedDomainBatchSampler`). The results depend neither on
    the number of workers nor on earlier random draws. Data loading continues with the
    next batch, even in the middle of an epoch, without reading earlier batches again. A
    validation that was due when the run was killed is made up for after the resume.

    ``configs/_base_/runtime.py`` declares it. The arguments are those of
    :class:`mmengine.runner.EpochBasedTrainLoop`.

    Raises:
        ValueError: If the data loader does not use a ``MixedDomainBatchSampler``.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if not isinstance(self.dataloader.batch_sampler, MixedDomainBatchSampler):
            raise ValueError(
                f"{type(self).__name__} needs train_dataloader.batch_sampler to be a "
                "'MixedDomainBatchSampler'; with another one, use MMEngine's loop"
            )

    def run(self) -> nn.Module:
        self._begin()
        while self._epoch < self._max_epochs and not self.stop_training:
            self.run_epoch()
            self._decide_current_val_interval()
            self._validate_if_due()
        self.runner.call_hook("after_train")
        return self.runner.model

    def run_epoch(self) -> None:
        self.runner.call_hook("before_train_epoch")
        self.runner.model.train()
        first = self._first_batch()
        for idx, data_batch in enumerate(self._batches(self._epoch, first), first):
            self.run_iter(idx, data_batch)
        self.runner.call_hook("after_train_epoch")
        self._epoch += 1

    def run_iter(self, idx: int, data_batch: dict) -> None:
        seed_all(self._sampler.seed, get_rank(), self._iter)
        super().run_iter(idx, data_batch)

    @property
    def _sampler(self) -> DefaultSampler:
        return self.dataloader.batch_sampler.sampler

    def _begin(self) -> None:
        """Restore the sampler seed and make up for a missed validation."""
        self.runner.call_hook("before_train")
        # Without a seed in the config, every start would shuffle differently.
        hub = self.runner.message_hub
        self._sampler.seed = hub.get_info("sampler_seed", self._sampler.seed)
        hub.update_info("sampler_seed", self._sampler.seed)
        self._decide_current_val_interval()
        self._validate_if_due()

    def _first_batch(self) -> int:
        """Return the index of the next batch in the current epoch."""
        size = len(self.dataloader)
        first = self._iter - self._epoch * size
        if 0 <= first <= size:
            return first
        print_log(
            f"epoch {self._epoch + 1} starts at its first batch: with {size} batches "
            f"per epoch, iteration {self._iter} is not part of it; has the batch size "
            "or the number of batches changed?",
            "current",
            level=logging.WARNING,
        )
        return 0

    def _batches(self, epoch: int, first: int) -> Iterator[dict]:
        """Yield the batches of an epoch, starting with batch ``first``."""
        self._sampler.set_epoch(epoch)
        self.dataloader.batch_sampler.first_batch = first
        yield from self.dataloader

    def _progress(self) -> tuple[int, int]:
        """Return the completed and the total amount in units of ``val_interval``."""
        return self._epoch, self._max_epochs

    def _validate_if_due(self) -> None:
        """Validate if it is due and has not been done yet.

        A checkpoint may be older than the validation of the same step.
        """
        done, end = self._progress()
        hub = self.runner.message_hub
        if (
            self.runner.val_loop is not None
            and done >= max(self.val_begin, 1)
            and (done % self.val_interval == 0 or done == end)
            and hub.get_info("last_validation") != done
        ):
            # Set the counters that a resumed run sees here. Otherwise, its best
            # checkpoint would differ.
            hub.update_info_dict(dict(epoch=self._epoch, iter=self._iter))
            hub.update_info("last_validation", done)
            self.runner.val_loop.run()


@LOOPS.register_module()
class ExactIterBasedTrainLoop(ExactEpochBasedTrainLoop):
    """Iteration-based training loop that can be resumed exactly.

    Works like :class:`ExactEpochBasedTrainLoop`. Hooks see the whole run as one epoch.
    The arguments are those of :class:`mmengine.runner.IterBasedTrainLoop`.
    """

    def __init__(
        self,
        runner: Runner,
        dataloader: DataLoader | dict,
        max_iters: int,
        val_begin: int = 1,
        val_interval: int = 1000,
        dynamic_intervals: list[tuple[int, int]] | None = None,
    ) -> None:
        super().__init__(
            runner, dataloader, 1, val_begin, val_interval, dynamic_intervals
        )
        self._max_iters = max_iters

    def run(self) -> nn.Module:
        self._begin()
        self.runner.call_hook("before_train_epoch")
        batches = self._endless_batches()
        while self._iter < self._max_iters and not self.stop_training:
            self.runner.model.train()
            self.run_iter(self._iter, next(batches))
            self._decide_current_val_interval()
            self._validate_if_due()
        self.runner.call_hook("after_train_epoch")
        self.runner.call_hook("after_train")
        return self.runner.model

    def _endless_batches(self) -> Iterator[dict]:
        """Yield batches from the current iteration on, epoch after epoch."""
        epoch, first = divmod(self._iter, len(self.dataloader))
        while True:
            yield from self._batches(epoch, first)
            epoch, first = epoch + 1, 0

    def _progress(self) -> tuple[int, int]:
        return self._iter, self._max_iters

    def _decide_current_val_interval(self) -> None:
        step = bisect.bisect(self.dynamic_milestones, self._iter + 1)
        self.val_interval = self.dynamic_intervals[step - 1]
