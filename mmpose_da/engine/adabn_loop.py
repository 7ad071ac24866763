from __future__ import annotations

import torch
from mmengine.dist import get_rank
from mmpose.registry import LOOPS
from torch.nn.modules.batchnorm import _BatchNorm

from ..seeding import seed_all
from .hooks.unwrap import model_of
from .loops import ExactIterBasedTrainLoop


@LOOPS.register_module()
class AdaBNLoop(ExactIterBasedTrainLoop):
    """Estimates batch-norm statistics on the training images and trains nothing.

    Li et al., "Revisiting Batch Normalization for Practical Domain Adaptation", ICLR
    Workshop 2017: a source model, with the statistics of the target domain. The
    running mean and variance of every layer become the average, over the iterations,
    of the mean and the (unbiased) variance of a batch. No weight changes.

    This is the control for every unsupervised method: it needs the same images, and
    nothing else. Show it unlabeled target images alone, through the pipeline of the
    test images.

    Under several ranks each averages over its own batches, and MMEngine's
    ``SyncBuffersHook`` averages the ranks at the end.

    The arguments are those of :class:`mmengine.runner.IterBasedTrainLoop`.

    Raises:
        ValueError: The network has no batch normalization with running statistics.
        FloatingPointError: The output for a batch is not finite; names its images.
    """

    def _begin(self) -> None:
        model = model_of(self.runner)
        norms = [m for m in model.deployed.modules() if isinstance(m, _BatchNorm)]
        norms = [norm for norm in norms if norm.track_running_stats]
        if not norms:
            raise ValueError(
                "AdaBNLoop needs a network with batch normalization, but this one has "
                "no layer with running statistics; choose another method"
            )
        for norm in norms:
            norm.momentum = None  # PyTorch's cumulative average
            if self._iter == 0:
                norm.reset_running_stats()
        super()._begin()

    @torch.no_grad()
    def run_iter(self, idx: int, data_batch: dict) -> None:
        seed_all(self._sampler.seed, get_rank(), self._iter)
        hooks = dict(batch_idx=idx, data_batch=data_batch)
        self.runner.call_hook("before_train_iter", **hooks)
        model = model_of(self.runner)
        heatmaps = model(**model.data_preprocessor(data_batch, True), mode="tensor")
        if not heatmaps.isfinite().all():
            images = [sample.img_path for sample in data_batch["data_samples"]]
            raise FloatingPointError(
                f"the output at iteration {self._iter + 1} is not finite; check the "
                f"weights and these images: {', '.join(images)}"
            )
        self.runner.call_hook("after_train_iter", **hooks, outputs={})
        self._iter += 1
