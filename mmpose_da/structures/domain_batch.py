from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import groupby

import torch
from mmengine.dist import all_reduce
from mmpose.structures import PoseDataSample
from torch import Tensor

SOURCE = "source"
TARGET_LABELED = "target_labeled"
TARGET_UNLABELED = "target_unlabeled"

#: The domains, in the order that they have in every batch.
DOMAINS = (SOURCE, TARGET_LABELED, TARGET_UNLABELED)

#: Neighbouring domains that go by one name.
GROUPS = dict(
    labeled=(SOURCE, TARGET_LABELED), target=(TARGET_LABELED, TARGET_UNLABELED)
)


@dataclass
class DomainBatch:
    """One mixed batch of B images, seen by domain.

    The domains follow each other in the order of :data:`DOMAINS`, so that each is a
    slice. ``batch['source']``, ``batch['target']`` (both target domains) and so on give
    the part of a domain or of a group (:data:`GROUPS`), as a batch; one without images
    is a batch of length 0.

    Attributes:
        data_samples (Sequence[PoseDataSample]): B samples, each with its ``domain`` in
            the metainfo. A sample without one counts as ``source``.
        images (Tensor): Preprocessed images (B, 3, H, W).
        teacher_images (Tensor, optional): The unlabelled target images (u, 3, H, W) as
            a teacher is to see them, where these are others.
        pseudo_heatmaps (Tensor, optional): What a teacher finds on the unlabelled
            target images, in the student's view of them (u, K, h', w').
        pseudo_weights (Tensor, optional): How far it is believed, from 0 to 1 (u, K).
        features (dict[str, Tensor]): Feature maps (B, C, h, w) by name. ``'head'`` is
            what the head sees; others are there because an adaptation asked for them.
        heatmaps (Tensor, optional): The head's heatmaps (B, K, h', w').
    """

    data_samples: Sequence[PoseDataSample]
    images: Tensor
    features: dict[str, Tensor] = field(default_factory=dict)
    heatmaps: Tensor | None = None
    teacher_images: Tensor | None = None
    pseudo_heatmaps: Tensor | None = None
    pseudo_weights: Tensor | None = None

    def __post_init__(self) -> None:
        runs = [(domain, len(list(run))) for domain, run in groupby(self.domains)]
        present = [domain for domain, _ in runs]
        if present != [domain for domain in DOMAINS if domain in present]:
            raise ValueError(
                f"the domains of a batch must follow each other in the order {DOMAINS},"
                f" but they are {self.domains}; use MixedDomainBatchSampler"
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
        """The domains of the batch of all ranks; every rank must ask for them."""
        counts = torch.tensor([self.domains.count(domain) for domain in DOMAINS])
        all_reduce(counts)
        return {d for d, count in zip(DOMAINS, counts.tolist(), strict=True) if count}

    def slice(self, domain: str) -> slice:
        """Where a domain, or a group of them, is in the batch."""
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
            heatmaps=None if self.heatmaps is None else self.heatmaps[part],
        )
