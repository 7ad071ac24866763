"""Common interface to the raw output of MMPose's heads."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import torch
from mmpose.codecs import UDPHeatmap
from mmpose.models.heads import (
    BaseHead,
    CPMHead,
    DSNTHead,
    HeatmapHead,
    IntegralRegressionHead,
    MSPNHead,
    RegressionHead,
    RLEHead,
    RTMCCHead,
    SimCCHead,
)
from torch import Tensor, nn

from ...structures import Pseudo
from ..layers import (
    gaussian_heatmaps,
    heatmap_peaks,
    marginal_gaussians,
    soft_argmax,
    spatial_softmax,
)
from .location_free_head import LocationFreeHead, map_peaks
from .logit_heatmap_head import LogitHeatmapHead
from .marginal_heatmap_head import MarginalHeatmapHead, by_plane, stages_of


class HeadOutputs(ABC):
    """Reads points from one kind of head, and trains it on points.

    Points are in units of the head's own grid: heatmap pixels, SimCC bins, or fractions
    of the input's width and height. :attr:`scale` converts them to input pixels.

    Args:
        head (BaseHead): A head with a decoder. It is not modified.
    """

    #: What adaptations can read: ``'points'``; ``'maps'``, whose softmax is a
    #: distribution, by plane; ``'heatmaps'``, one plane whose peaks are at most 1.
    gives: frozenset[str] = frozenset({"points"})
    #: Number of coordinates of a point.
    dimensions = 2

    def __init__(self, head: BaseHead) -> None:
        self.head = head

    @property
    @abstractmethod
    def scale(self) -> tuple[float, float]:
        """Input pixels per grid unit, in x and y."""

    def maps(self, outputs: Any) -> dict[str, Tensor]:
        """Return heatmaps (B, K, h, w) by plane, ``'xy'`` for a 2D head, if any."""
        return {}

    @property
    def decoded(self) -> tuple[float, float]:
        """Factors, in x and y, from input pixels to what the codec's ``decode`` gives.

        They are 1 but for UDP, whose inputs are cropped from the center of the first
        pixel to that of the last. MMPose's estimators convert what is decoded to image
        pixels.
        """
        return 1.0, 1.0

    @abstractmethod
    def last(self, outputs: Any) -> tuple[float, float]:
        """Return the largest x and y of a point inside the input, in grid units."""

    @abstractmethod
    def points(self, outputs: Any) -> tuple[Tensor, Tensor]:
        """Read the joints from an output.

        Returns:
            tuple[Tensor, Tensor]: Points (B, K, 2), x first, or (B, K, 3) with a depth
            relative to the root in the same unit, and confidence (B, K).
        """

    @abstractmethod
    def pseudo_loss(
        self, outputs: Any, pseudo: Pseudo, sigma: float, loss: nn.Module
    ) -> Tensor:
        """Compute the loss of an output on pseudo-labels.

        Args:
            outputs (Tensor | tuple | list): The student's output for u images.
            pseudo (Pseudo): Their pseudo-labels.
            sigma (float): Standard deviation of a Gaussian pseudo heatmap, in pixels.
            loss (nn.Module): The loss of heatmaps, pseudo heatmaps (u, K, h, w), and
                weights (u, K). Heads without heatmaps use their own loss instead.

        Returns:
            Tensor: A scalar.
        """


class HeatmapOutputs(HeadOutputs):
    """Heatmaps of one stage, or a list of heatmaps of several stages.

    Points are read from the last stage; all stages are trained.
    """

    gives = frozenset({"points", "maps", "heatmaps"})

    @property
    def scale(self) -> tuple[float, float]:
        x, y = self.head.decoder.scale_factor
        return float(x), float(y)

    @property
    def decoded(self) -> tuple[float, float]:
        if not isinstance(self.head.decoder, UDPHeatmap):
            return 1.0, 1.0
        width, height = self.head.decoder.input_size
        return width / (width - 1), height / (height - 1)

    @staticmethod
    def _stages(outputs: Tensor | list[Tensor]) -> list[Tensor]:
        return [outputs] if isinstance(outputs, Tensor) else list(outputs)

    def maps(self, outputs: Tensor | list[Tensor]) -> dict[str, Tensor]:
        return dict(xy=self._stages(outputs)[-1])

    def last(self, outputs: Tensor | list[Tensor]) -> tuple[float, float]:
        height, width = self._stages(outputs)[-1].shape[2:]
        return width - 1, height - 1

    def points(self, outputs: Tensor | list[Tensor]) -> tuple[Tensor, Tensor]:
        return heatmap_peaks(self._stages(outputs)[-1])

    def pseudo_loss(
        self,
        outputs: Tensor | list[Tensor],
        pseudo: Pseudo,
        sigma: float,
        loss: nn.Module,
    ) -> Tensor:
        stages = self._stages(outputs)
        target = pseudo.heatmaps
        if target is None:
            target = gaussian_heatmaps(pseudo.points, stages[-1].shape[2:], sigma)
        return sum(loss(stage, target, pseudo.weights) for stage in stages)


class LogitOutputs(HeatmapOutputs):
    """Logits of a :class:`LogitHeatmapHead`.

    Points and confidence are read from the heatmaps that the head decodes. It is taught
    by its own loss.
    """

    gives = frozenset({"points", "maps"})

    def points(self, outputs: Tensor | list[Tensor]) -> tuple[Tensor, Tensor]:
        return heatmap_peaks(self.head.heatmaps(self._stages(outputs)[-1]))

    def pseudo_loss(
        self,
        outputs: Tensor | list[Tensor],
        pseudo: Pseudo,
        sigma: float,
        loss: nn.Module,
    ) -> Tensor:
        return super().pseudo_loss(outputs, pseudo, sigma, self.head.loss_module)


class SimCCOutputs(HeadOutputs):
    """Vectors of bins in x and y (Li et al., "SimCC", ECCV 2022).

    The confidence is the lower of the two peaks, as in MMPose.
    """

    def __init__(self, head: BaseHead) -> None:
        super().__init__(head)
        if head.decoder.smoothing_type != "gaussian":
            raise ValueError(
                "pseudo-labels for SimCC need smoothing_type='gaussian' in the codec, "
                f"not '{head.decoder.smoothing_type}'"
            )

    @property
    def scale(self) -> tuple[float, float]:
        return (1 / self.head.decoder.simcc_split_ratio,) * 2

    def last(self, outputs: tuple[Tensor, Tensor]) -> tuple[float, float]:
        x, y = outputs
        return x.shape[-1] - 1, y.shape[-1] - 1

    def points(self, outputs: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        (x_peak, x), (y_peak, y) = (vector.max(dim=-1) for vector in outputs)
        return torch.stack([x, y], -1).to(x_peak), torch.minimum(x_peak, y_peak)

    def targets(self, outputs: tuple[Tensor, Tensor], points: Tensor) -> tuple:
        """Return Gaussian vectors (u, K, W), (u, K, H) around points, as the codec."""
        codec, vectors = self.head.decoder, []
        for axis, output in enumerate(outputs):
            sigma = float(codec.sigma[axis])
            bins = torch.arange(output.shape[-1], device=points.device)
            square = (bins - points[..., axis, None]).square()
            vector = torch.exp(-square / (2 * sigma**2))
            if codec.normalize:
                vector = vector / (sigma * (2 * torch.pi) ** 0.5)
            vectors.append(vector)
        return tuple(vectors)

    def pseudo_loss(
        self,
        outputs: tuple[Tensor, Tensor],
        pseudo: Pseudo,
        sigma: float,
        loss: nn.Module,
    ) -> Tensor:
        targets = self.targets(outputs, pseudo.points)
        return self.head.loss_module(outputs, targets, pseudo.weights)


class NormalizedOutputs(HeadOutputs):
    """Coordinates as fractions of the input's width and height."""

    @property
    def scale(self) -> tuple[float, float]:
        codec = self.head.decoder
        width, height = getattr(codec, "keypoint_codec", codec).input_size
        return float(width), float(height)

    def last(self, outputs: object) -> tuple[float, float]:
        width, height = self.scale
        return (width - 1) / width, (height - 1) / height


class CoordinateOutputs(NormalizedOutputs):
    """Coordinates (B, K, 2).

    They have no confidence: all joints count as equally confident.
    """

    def points(self, outputs: Tensor) -> tuple[Tensor, Tensor]:
        return outputs[..., :2], torch.ones_like(outputs[..., 0])

    def pseudo_loss(
        self, outputs: Tensor, pseudo: Pseudo, sigma: float, loss: nn.Module
    ) -> Tensor:
        return self.head.loss_module(outputs, pseudo.points, pseudo.weights[..., None])


class RLEOutputs(CoordinateOutputs):
    """Coordinates and their deviations (B, K, 4) (Li et al., "RLE", ICCV 2021).

    The confidence is 1 minus the mean deviation, as in MMPose.
    """

    def points(self, outputs: Tensor) -> tuple[Tensor, Tensor]:
        return outputs[..., :2], 1 - outputs[..., 2:4].sigmoid().mean(-1)

    def pseudo_loss(
        self, outputs: Tensor, pseudo: Pseudo, sigma: float, loss: nn.Module
    ) -> Tensor:
        return self.head.loss_module(
            outputs[..., :2],
            outputs[..., 2:4],
            pseudo.points,
            pseudo.weights[..., None],
        )


class IntegralOutputs(NormalizedOutputs):
    """Coordinates computed as the mean of a heatmap (Sun et al., ECCV 2018).

    The confidence is the heatmap's peak, which is high if the heatmap is narrow.
    """

    def points(self, outputs: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        coordinates, heatmaps = outputs
        return coordinates, heatmaps.flatten(2).amax(-1)

    def pseudo_loss(
        self,
        outputs: tuple[Tensor, Tensor],
        pseudo: Pseudo,
        sigma: float,
        loss: nn.Module,
    ) -> Tensor:
        coordinates, _ = outputs
        return self.head.loss_module(coordinates, pseudo.points, pseudo.weights)


class DSNTOutputs(IntegralOutputs):
    """Like IntegralOutputs, with a heatmap loss added to the coordinate loss."""

    def pseudo_loss(
        self,
        outputs: tuple[Tensor, Tensor],
        pseudo: Pseudo,
        sigma: float,
        loss: nn.Module,
    ) -> Tensor:
        height, width = outputs[1].shape[2:]
        grid = pseudo.points * pseudo.points.new_tensor([width, height])
        target = gaussian_heatmaps(grid, (height, width), sigma)
        terms = self.head.loss_module(
            list(outputs), [pseudo.points, target], pseudo.weights
        )
        return sum(terms)


class MarginalOutputs(HeadOutputs):
    """Marginal heatmaps of 3D joints, of one stage or a list of several.

    Points (B, K, 3) are in input pixels, z relative to the root. The maps are logits,
    by plane. The confidence is the head's score. All stages are taught.
    """

    gives = frozenset({"points", "maps"})
    dimensions = 3

    @property
    def scale(self) -> tuple[float, float]:
        return 1.0, 1.0

    def maps(self, outputs: tuple | list) -> dict[str, Tensor]:
        return by_plane(stages_of(outputs)[-1])

    def last(self, outputs: object) -> tuple[float, float]:
        width, height = self.head.decoder.input_size
        return width - 1, height - 1

    def points(self, outputs: tuple | list) -> tuple[Tensor, Tensor]:
        maps = {k: spatial_softmax(v) for k, v in self.maps(outputs).items()}
        center, half = self._space(maps["xy"])
        return soft_argmax(maps) * half + center, self.head.scores(maps)

    def pseudo_loss(
        self, outputs: tuple | list, pseudo: Pseudo, sigma: float, loss: nn.Module
    ) -> Tensor:
        center, half = self._space(pseudo.points)
        labels = (pseudo.points - center) / half
        targets = marginal_gaussians(
            labels, self.head.decoder.heatmap_size, self.head.decoder.sigma
        )
        # Like the codec's labels, depth outside the grid has no weight.
        weights = pseudo.weights, (labels[..., 2].abs() <= 1).to(pseudo.weights)
        return sum(
            self.head.loss_module(by_plane(stage), targets, *weights)
            for stage in stages_of(outputs)
        )

    def _space(self, like: Tensor) -> tuple[Tensor, Tensor]:
        """Return the center and the half extent of the grid in input pixels (3,)."""
        codec = self.head.decoder
        return like.new_tensor(codec.center), like.new_tensor(codec.half)


class LocationOutputs(HeadOutputs):
    """Location maps and part classifications of a :class:`LocationFreeHead`.

    Points are in input pixels. The maps are logits. The confidence is the probability
    that the image shows the joint.
    """

    gives = frozenset({"points", "maps"})

    @property
    def scale(self) -> tuple[float, float]:
        return 1.0, 1.0

    def maps(self, outputs: tuple[Tensor, Tensor, list[Tensor]]) -> dict[str, Tensor]:
        return dict(xy=outputs[0])

    def last(self, outputs: object) -> tuple[float, float]:
        width, height = self.head.decoder.input_size
        return width - 1, height - 1

    def points(
        self, outputs: tuple[Tensor, Tensor, list[Tensor]]
    ) -> tuple[Tensor, Tensor]:
        location, logits, _ = outputs
        points = map_peaks(spatial_softmax(location))
        size = points.new_tensor(self.head.decoder.input_size)
        return ((points + 1) * size - 1) / 2, self.head.scores(logits)

    def pseudo_loss(
        self,
        outputs: tuple[Tensor, Tensor, list[Tensor]],
        pseudo: Pseudo,
        sigma: float,
        loss: nn.Module,
    ) -> Tensor:
        size = pseudo.points.new_tensor(self.head.decoder.input_size)
        points = (2 * pseudo.points + 1) / size - 1
        return self.head.location_loss(outputs[0], points, pseudo.weights)


#: Head classes and the class that reads them, the most specific first.
KINDS: tuple[tuple[type | tuple[type, ...], type[HeadOutputs]], ...] = (
    (MarginalHeatmapHead, MarginalOutputs),
    (LocationFreeHead, LocationOutputs),
    (LogitHeatmapHead, LogitOutputs),
    (DSNTHead, DSNTOutputs),
    (IntegralRegressionHead, IntegralOutputs),
    (RLEHead, RLEOutputs),
    (RegressionHead, CoordinateOutputs),
    ((SimCCHead, RTMCCHead), SimCCOutputs),
    ((HeatmapHead, CPMHead, MSPNHead), HeatmapOutputs),
)


def head_outputs(head: BaseHead) -> HeadOutputs | None:
    """Return the reader of a head's output, or None for an unsupported head."""
    for heads, kind in KINDS:
        if isinstance(head, heads) and getattr(head, "decoder", None) is not None:
            return kind(head)
    return None
