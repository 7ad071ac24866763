from __future__ import annotations

import torch
from mmengine.dist import get_rank
from mmpose.registry import LOOPS
from torch.nn.modules.batchnorm import _BatchNorm

from ..seeding import seed_all
from ..structures import tensors
from .hooks.unwrap import model_of
from .loops import ExactIterBasedTrainLoop


@LOOPS.register_module()
class AdaBNLoop(ExactIterBasedTrainLoop):
    """Re-estimates batch normalization statistics without training any weights.

    Implements AdaBN for a source model: Li et al., "Revisiting Batch Normalization for
    Practical Domain Adaptation", ICLR Workshop 2017. The running mean and variance of
    each layer become the average, over all iterations, of the batch mean and the
    (unbiased) batch variance. No weights change.

    AdaBN is the control for unsupervised methods, because it needs the same images and
    nothing else. Feed it unlabeled target images only, through the test pipeline.

    In distributed runs, each rank averages over its own batches, and MMEngine's
    ``SyncBuffersHook`` averages over the ranks at the end.

    The arguments are those of :class:`mmengine.runner.IterBasedTrainLoop`.

    Raises:
        ValueError: If the network has no batch normalization with running statistics.
        FloatingPointError: If the output for a batch is not finite. The message names
            its images.
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
        outputs = model(**model.data_preprocessor(data_batch, True), mode="tensor")
        if not all(output.isfinite().all() for output in tensors(outputs)):
            images = [sample.img_path for sample in data_batch["data_samples"]]
            raise FloatingPointError(
                f"the output at iteration {self._iter + 1} is not finite; check the "
                f"weights and these images: {', '.join(images)}"
            )
        self.runner.call_hook("after_train_iter", **hooks, outputs={})
        self._iter += 1
