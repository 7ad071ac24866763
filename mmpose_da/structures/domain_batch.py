from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import groupby

import torch
from mmengine.dist import all_reduce
from mmpose.structures import PoseDataSample
from torch import Tensor

from .tree import map_tensors

SOURCE = "source"
TARGET_LABELED = "target_labeled"
TARGET_PSEUDO = "target_pseudo"
TARGET_UNLABELED = "target_unlabeled"

#: The domains, in their order in every batch.
DOMAINS = (SOURCE, TARGET_LABELED, TARGET_PSEUDO, TARGET_UNLABELED)

#: Names for groups of adjacent domains.
GROUPS = dict(
    labeled=(SOURCE, TARGET_LABELED),
    target=(TARGET_LABELED, TARGET_PSEUDO, TARGET_UNLABELED),
    unsupervised=(TARGET_PSEUDO, TARGET_UNLABELED),
)


@dataclass(frozen=True)
class Pseudo:
    """Pseudo-labels of u unlabeled images, in the student's view.

    Attributes:
        points (Tensor): Joints (u, K, 2), x first, in units of the head's grid; see
            :class:`~mmpose_da.models.heads.HeadOutputs`.
        confidence (Tensor): The teacher's confidence in each joint (u, K).
        weights (Tensor): Loss weight of each joint, in [0, 1] (u, K).
        heatmaps (Tensor, optional): Target heatmaps (u, K, h, w) to use instead of
            Gaussians around the points.
    """

    points: Tensor
    confidence: Tensor
    weights: Tensor
    heatmaps: Tensor | None = None


@dataclass
class DomainBatch:
    """A mixed batch of B images, accessible by domain.

    The domains are in the order of :data:`DOMAINS`, so that each is a slice.
    ``batch['source']``, ``batch['target']`` (both target domains), and so on return the
    part of a domain or of a group (:data:`GROUPS`) as a batch, which may have length 0.

    Attributes:
        data_samples (Sequence[PoseDataSample]): B samples, each with its ``domain`` in
            the metainfo. A sample without one counts as ``source``.
        images (Tensor): Preprocessed images (B, 3, H, W).
        features (dict[str, Tensor]): Feature maps (B, C, h, w) by name. ``'head'`` is
            the last one that the head receives, (B, C, 1, 1) after global pooling; the
            others are those that adaptations use.
        outputs (Tensor | tuple | list, optional): The raw output of the head.
        maps (dict[str, Tensor]): The output as heatmaps (B, K, h', w') by plane,
            ``'xy'`` for a 2D head; empty for a head without heatmaps.
        teacher_images (Tensor, optional): The unlabeled target images (u, 3, H, W) as
            the teacher sees them, if different.
        pseudo (Pseudo, optional): Pseudo-labels of the unlabeled target images.
    """

    data_samples: Sequence[PoseDataSample]
    images: Tensor
    features: dict[str, Tensor] = field(default_factory=dict)
    outputs: Tensor | tuple | list | None = None
    maps: dict[str, Tensor] = field(default_factory=dict)
    teacher_images: Tensor | None = None
    pseudo: Pseudo | None = None

    def __post_init__(self) -> None:
        runs = [(domain, len(list(run))) for domain, run in groupby(self.domains)]
        present = [domain for domain, _ in runs]
        if present != [domain for domain in DOMAINS if domain in present]:
            raise ValueError(
                f"the domains of a batch must be in the order {DOMAINS}, "
                f"but are {self.domains}; use MixedDomainBatchSampler"
            )
        self._slices: dict[str, slice] = {}
        start = 0
        for domain, count in runs:
            self._slices[domain] = slice(start, start + count)
            start += count

    @property
    def domains(self) -> list[str]:
        """The domain of each sample."""
        return [sample.metainfo.get("domain", SOURCE) for sample in self.data_samples]

    @cached_property
    def domains_of_all_ranks(self) -> set[str]:
        """The domains in the batches of all ranks; all ranks must call this."""
        counts = torch.tensor([self.domains.count(domain) for domain in DOMAINS])
        all_reduce(counts)
        return {d for d, count in zip(DOMAINS, counts.tolist(), strict=True) if count}

    def slice(self, domain: str) -> slice:
        """Return the position of a domain, or of a group, in the batch."""
        names = GROUPS.get(domain, (domain,))
        present = [self._slices[name] for name in names if name in self._slices]
        if not present:
            return slice(0, 0)
        return slice(present[0].start, present[-1].stop)

    def __len__(self) -> int:
        return len(self.data_samples)

    def __getitem__(self, domain: str) -> DomainBatch:
        part = self.slice(domain)
        return DomainBatch(
            data_samples=self.data_samples[part],
            images=self.images[part],
            features={name: value[part] for name, value in self.features.items()},
            outputs=self.outputs
            if self.outputs is None
            else map_tensors(lambda value: value[part], self.outputs),
            maps={plane: value[part] for plane, value in self.maps.items()},
            teacher_images=self.teacher_images if domain == TARGET_UNLABELED else None,
            pseudo=self.pseudo if domain == TARGET_UNLABELED else None,
        )
