from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from numbers import Real
from typing import TYPE_CHECKING, Any

from mmengine.logging import MessageHub
from mmengine.model import BaseModule
from mmpose.models.heads import BaseHead
from torch import Tensor

from ...structures import GROUPS, DomainBatch

if TYPE_CHECKING:
    from ..pose_estimators import DomainAdaptiveTopdown, PoseNetwork


class Adaptation(BaseModule):
    """Base class of adaptations: a loss on certain tensors of certain domains.

    A subclass lists the domains that it needs in every batch in :attr:`needs`. It may
    change the images before the backbone in :meth:`prepare` and the features before the
    head in :meth:`adapt`, and it computes its terms in :meth:`loss`. It may own
    modules, none of which is part of the deployed network.

    Args:
        in_channels (int): Channels of the features that the head receives; set by the
            estimator unless the config gives it.
        metainfo (dict, optional): The parsed joint definition; set by the estimator.
            Defaults to None.
        weight (float): Factor of the loss terms. Defaults to 1.0.
        feature (str): Features to use: ``'head'`` for those that the head receives, or
            the name of a module of the estimator, such as ``'backbone.layer1'`` or
            ``'head.deconv_layers'``, which also requires its ``in_channels``. Defaults
            to ``'head'``.
        rampup (dict, optional): Raises the argument named by :attr:`ramps` from 0 to
            its value, from iteration ``begin`` (default: 0) to iteration ``end``
            (default: the last one of the run; floats are shares of the run), along a
            ``curve``: ``'linear'`` or ``'sigmoid'`` (2 / (1 + exp(-10 p)) - 1, Ganin
            and Lempitsky, 2015, Sec. 4). Defaults to None: no ramp.
    """

    #: The domains that the batches of all ranks together must contain.
    needs: tuple[str, ...] = ()

    #: What is read from the head's output: ``'points'``, ``'maps'`` (by plane), or
    #: ``'heatmaps'`` (one plane of 2D heatmaps). Not every head provides all of them.
    reads: tuple[str, ...] = ()

    #: Adaptations prepare the images in ascending order of this number, regardless of
    #: the order of the keys in the config. Style transfer comes before random views.
    priority: int = 50

    #: The argument that ``rampup`` raises.
    ramps: str = "weight"

    def __init__(
        self,
        in_channels: int | None = None,
        metainfo: dict | None = None,
        weight: float = 1.0,
        feature: str = "head",
        rampup: dict | None = None,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(init_cfg)
        check_factor("weight", weight)
        self.in_channels = in_channels
        self.metainfo = metainfo
        self.weight = weight
        self.feature = feature
        self.rampup = None if rampup is None else RampUp(**rampup)

    @property
    def taps(self) -> Sequence[str]:
        """Modules of the estimator whose output must be kept."""
        return () if self.feature == "head" else (self.feature,)

    @property
    def teacher(self) -> PoseNetwork | None:
        """A network that can be deployed in place of the student."""
        return None

    @property
    def teacher_is_set(self) -> bool:
        """Whether the teacher's weights were set, rather than random."""
        return False

    def bind(self, estimator: DomainAdaptiveTopdown) -> None:
        """Read what is needed from the estimator, once, when it is built.

        By default, nothing is read. Do not keep the estimator: it owns this module.
        """

    def check(self, batch: DomainBatch) -> None:
        """Raise a ValueError if a needed domain is in no rank's batch."""
        present = batch.domains_of_all_ranks
        missing = [d for d in self.needs if present.isdisjoint(GROUPS.get(d, (d,)))]
        if missing:
            raise ValueError(
                f"{type(self).__name__} needs images of {missing} in every batch, but "
                f"this batch has {sorted(present)}; remove it from "
                "model.adaptations or add the domain to train_dataloader"
            )

    def prepare(self, batch: DomainBatch) -> None:
        """Change ``batch.images`` before the backbone sees them; a no-op by default."""

    def adapt(self, batch: DomainBatch) -> None:
        """Change ``batch.features`` before the head sees them; a no-op by default."""

    def run_head(self, head: BaseHead, feats: Any, batch: DomainBatch) -> Iterator[Any]:
        """Run the head on the features of all domains, in one or several passes.

        By default, this is one ``head.forward(feats)``. Only one adaptation of an
        estimator can do it differently.

        Args:
            head (BaseHead): The head.
            feats (Tensor | tuple | list): What the head sees, of all B images.
            batch (DomainBatch): The batch.

        Yields:
            Tensor | tuple | list: The raw output of each pass, right after it. Together
            they are those of all B images, in order.
        """
        yield head.forward(feats)

    def loss(self, batch: DomainBatch) -> dict[str, Tensor]:
        """Return terms by name; those with 'loss' in their name add to the total loss.

        By default, there are none.
        """
        return {}

    def ramped(self, value: float) -> float:
        """Return a value times the ramp at the Runner's current iteration."""
        if self.rampup is None:
            return value
        hub = MessageHub.get_current_instance()
        return value * self.rampup(hub.get_info("iter", 0), hub.get_info("max_iters"))

    def forward(self, batch: DomainBatch) -> dict[str, Tensor]:
        """Return the terms, with weighted losses."""
        weight = self.ramped(self.weight) if self.ramps == "weight" else self.weight
        return {
            name: value * weight if "loss" in name else value
            for name, value in self.loss(batch).items()
        }


def check_factor(name: str, value: object) -> None:
    """Raise a ValueError unless a value is a number >= 0."""
    if not isinstance(value, Real) or not float(value) >= 0:
        raise ValueError(f"{name} must be a number >= 0, but is {value!r}")


def check_no_loss(kind: type, given: Mapping[str, Any]) -> None:
    """Raise a ValueError if an adaptation without a loss is given one's arguments."""
    for name in ("weight", "rampup"):
        if name in given:
            raise ValueError(f"{kind.__name__} has no loss and thus no {name}")


class RampUp:
    """A factor that rises from 0 to 1 over iterations; see :class:`Adaptation`."""

    CURVES = {
        "linear": lambda p: p,
        "sigmoid": lambda p: 2 / (1 + math.exp(-10 * p)) - 1,
    }

    def __init__(
        self, end: float | None = None, begin: float = 0, curve: str = "linear"
    ) -> None:
        for name, value in dict(begin=begin, end=end).items():
            if isinstance(value, float) and not 0 < value <= 1:
                raise ValueError(
                    f"rampup {name}={value} is a share of the run, which must be in "
                    "(0, 1]; an iteration is an int"
                )
        last = 1.0 if end is None else end
        if begin < 0 or (type(begin) is type(last) and last <= begin):
            raise ValueError(f"rampup needs 0 <= begin < end, not {begin} and {last}")
        if curve not in self.CURVES:
            raise ValueError(
                f"rampup curve '{curve}' is not one of {sorted(self.CURVES)}"
            )
        self.begin, self.end, self.curve = begin, last, curve

    def __call__(self, iteration: int, max_iters: int | None = None) -> float:
        begin, end = (self._iteration(x, max_iters) for x in (self.begin, self.end))
        progress = (iteration - begin) / max(end - begin, 1)
        return self.CURVES[self.curve](min(max(progress, 0.0), 1.0))

    @staticmethod
    def _iteration(value: float, max_iters: int | None) -> float:
        """Return the iteration at a share of the run, or the given iteration."""
        if not isinstance(value, float):
            return value
        if max_iters is None:
            raise ValueError(
                "rampup with a share of the run, or without an `end`, takes the number "
                "of iterations from the Runner, but there is no Runner"
            )
        return max_iters * value
