from __future__ import annotations

from typing import Any

from mmengine.optim.scheduler.lr_scheduler import LRSchedulerMixin
from mmengine.optim.scheduler.param_scheduler import INF, _ParamScheduler
from mmpose.registry import PARAM_SCHEDULERS


@PARAM_SCHEDULERS.register_module()
class InverseDecayLR(LRSchedulerMixin, _ParamScheduler):
    """Learning rate that falls as ``lr * (1 + gamma * step) ** -power``.

    The schedule of domain-adversarial training (Ganin and Lempitsky, ICML 2015, Sec. 4)
    in the form of Jiang et al., "Regressive Domain Adaptation for Unsupervised Keypoint
    Detection", CVPR 2021, where ``step`` counts iterations and not the progress.

    Args:
        optimizer (Optimizer | BaseOptimWrapper): The optimizer.
        gamma (float): Decay per step. Defaults to 1e-4.
        power (float): Exponent. Defaults to 0.75.
        begin (int): Step at which it begins. Defaults to 0.
        end (int): Step after which the learning rate stays. Defaults to infinity.
        kwargs: ``last_step``, ``by_epoch`` and ``verbose``, as for all schedulers of
            MMEngine.

    Raises:
        ValueError: If ``gamma`` or ``power`` is negative.
    """

    def __init__(
        self,
        optimizer: Any,
        gamma: float = 1e-4,
        power: float = 0.75,
        begin: int = 0,
        end: int = INF,
        **kwargs: Any,
    ) -> None:
        if gamma < 0 or power < 0:
            raise ValueError(
                f"gamma and power must not be negative, but are {gamma} and {power}"
            )
        self.gamma, self.power = gamma, power
        super().__init__(optimizer, begin=begin, end=end, **kwargs)

    def _get_value(self) -> list[float]:
        """Return the next learning rates, from the last ones: schedulers chain."""
        values = [group[self.param_name] for group in self.optimizer.param_groups]
        if self.last_step == 0:
            return values
        now, before = (1 + self.gamma * s for s in (self.last_step, self.last_step - 1))
        return [value * (now / before) ** -self.power for value in values]
