from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from mmengine.dist import all_gather_object, get_rank
from mmengine.hooks import Hook
from mmengine.runner import Runner
from mmengine.structures import BaseDataElement
from mmpose.registry import HOOKS
from torch import Tensor, nn
from torch.optim import Optimizer

from .unwrap import model_of

#: Metainfo keys that identify a sample.
NAMES = ("domain", "img_path", "id")


@HOOKS.register_module()
class NonFiniteHook(Hook):
    """Protects the model from losses and gradients that are not finite.

    An optimizer step with a non-finite loss or gradient stops training with a
    FloatingPointError or, within a budget, is skipped. A skipped step changes neither
    weights nor optimizer state nor buffers, such as batch normalization statistics. The
    message names the iteration, the loss terms or parameters, and the images: those
    whose input or labels are not finite, or else all images of the batch. Learning rate
    schedules and weight averages continue as after any other step. The message hub, and
    thus every checkpoint, stores the number of skipped steps as ``skipped_steps``.

    A step over several batches or processes is skipped as a whole. The message names
    the batch and the process with the non-finite loss.

    With mixed precision, gradients may overflow. The loss scaler then skips the step
    and lowers its scale. Such a step counts here only once the scale is down to 1,
    where scaling cannot be the cause.

    Args:
        max_skips (int): Maximum number of skipped steps in a run, including those
            before a resume. Defaults to 0.
    """

    # Run before hooks that use the result of an iteration: averages, checkpoints.
    priority = "HIGH"

    def __init__(self, max_skips: int = 0) -> None:
        if max_skips < 0:
            raise ValueError(f"max_skips must not be negative, but is {max_skips}")
        self.max_skips = max_skips
        self._reports: list[str] = []

    def before_train(self, runner: Runner) -> None:
        model = model_of(runner)
        self._parameters = dict(model.named_parameters())
        self._buffers = [b for b in model.buffers() if b.is_floating_point()]
        self._kept = [torch.empty_like(buffer) for buffer in self._buffers]
        model.register_forward_hook(_mark_gradients)
        runner.optim_wrapper.optimizer.register_step_pre_hook(self._before_step)

    def before_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: dict | None = None
    ) -> None:
        _copy(self._buffers, self._kept)
        # The reason for a missing step. The default applies if the loss scaler does not
        # call the optimizer.
        self._refusal = ["the gradients"]

    def _before_step(self, optimizer: Optimizer, args: tuple, kwargs: dict) -> None:
        self._refusal = self._wrong_gradients()
        if self._refusal:
            optimizer.zero_grad()  # to None, so that the step changes nothing

    def after_train_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: dict,
        outputs: dict,
    ) -> None:
        if "loss" not in outputs:  # no training, as in AdaBN
            return
        if not outputs["loss"].isfinite():
            _copy(self._kept, self._buffers)
            terms = [name for name, value in outputs.items() if not value.isfinite()]
            self._reports.append(_report(runner, terms, data_batch))
        if runner.optim_wrapper.should_update():
            if self._refusal:
                self._skip_or_stop(runner, data_batch)
            self._reports = []

    def _skip_or_stop(self, runner: Runner, data_batch: dict) -> None:
        """Skip the step, or raise an error once the budget is exceeded.

        All processes call this together, since they share gradients and loss scale.
        """
        reports = _of_all_processes(self._reports)
        if not reports:
            scaler = getattr(runner.optim_wrapper, "loss_scaler", None)
            if scaler is not None and scaler.get_scale() > 1:
                return
            own = _report(runner, self._refusal, data_batch)
            reports = _of_all_processes([own])
        _copy(self._kept, self._buffers)
        message = "\n".join(["a loss or a gradient is not finite:", *reports])
        skips = runner.message_hub.get_info("skipped_steps", 0) + 1
        if skips > self.max_skips:
            raise FloatingPointError(
                f"{message}\nCheck these images, the loss weights, and the "
                f"learning rate; max_skips={self.max_skips} of NonFiniteHook allows no "
                "further skip"
            )
        runner.message_hub.update_info("skipped_steps", skips)
        runner.logger.warning(
            f"{message}\nthis step is skipped ({skips} of at most {self.max_skips})"
        )

    def _wrong_gradients(self) -> list[str]:
        """Describe the gradients that are not finite, if there are any."""
        gradients = {
            name: parameter.grad
            for name, parameter in self._parameters.items()
            if parameter.grad is not None
        }
        # Squares that overflow count as non-finite: Adam's state would keep them
        # forever.
        norms = torch.stack(torch._foreach_norm(list(gradients.values())))
        finite = norms.isfinite()
        if finite.all():
            return []
        names = [n for n, ok in zip(gradients, finite.tolist(), strict=True) if not ok]
        return [f"the gradients of {len(names)} parameters, such as {names[-1]}"]


def _mark_gradients(model: nn.Module, inputs: tuple, losses: Any) -> None:
    """Make the gradient of a non-finite loss non-finite as well.

    The gradient of |x| is finite even if x is NaN. In addition, this informs the other
    processes, because DistributedDataParallel averages the gradients.
    """
    if not isinstance(losses, dict):  # predictions
        return
    terms = [value for name, value in losses.items() if "loss" in name]
    zero = 0 * sum(term.detach().sum() for term in terms)  # NaN if a term is not finite
    for term in terms:
        if term.requires_grad:
            term.register_hook(lambda gradient: gradient + zero.to(gradient))


def _copy(sources: list[Tensor], targets: list[Tensor]) -> None:
    if sources:  # PyTorch does not accept empty lists
        torch._foreach_copy_(targets, sources)


def _of_all_processes(values: list) -> list:
    return [value for part in all_gather_object(values) for value in part]


def _report(runner: Runner, what: Sequence[str], data_batch: dict) -> str:
    """Describe what is not finite, and where."""
    where = f"iteration {runner.iter + 1}, rank {get_rank()}"
    return "\n  ".join([f"{where}: {', '.join(what)}", *_images(data_batch)])


def _images(data_batch: dict) -> Iterator[str]:
    """Yield the image names of a batch; only those of broken samples, if any."""
    pairs = list(zip(data_batch["inputs"], data_batch["data_samples"], strict=True))
    broken = [pair for pair in pairs if any(map(_is_broken, pair))]
    for _, sample in broken or pairs:
        named = [name for name in NAMES if name in sample]
        yield ", ".join(f"{name} {sample.get(name)}" for name in named)


def _is_broken(value: Any) -> bool:
    """Return whether a tensor, an array, or a sample has non-finite values."""
    if isinstance(value, BaseDataElement):
        return any(map(_is_broken, value.values()))
    if isinstance(value, np.ndarray) and value.dtype.kind == "f":
        value = torch.from_numpy(value)
    return isinstance(value, Tensor) and not value.isfinite().all()
