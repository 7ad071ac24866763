from __future__ import annotations

from typing import Any

import torch
from mmpose.registry import MODELS
from mmpose.structures import MultilevelPixelData
from torch import Tensor

from ...structures import SOURCE, DomainBatch
from ..layers import keypoint_confidence, keypoint_features
from ..layers.numerics import empty_sum
from ..losses import pose_similarity
from .base import Adaptation


@MODELS.register_module()
class IHTA(Adaptation):
    """Inter-domain human-topology alignment.

    Local keypoint features are the nodes of the skeleton graph. A semantic graph
    network turns them into a topology representation g of the pose. The g of source and
    target people with similar poses are pulled together (Xu et al., "Alleviating
    Human-level Shift", ACM MM 2020, Sec. 3.4).

    The squared distance between two g is averaged over joints and channels, so that the
    weight does not depend on their number.

    A constant g would minimize this loss. To prevent this, the joints' coordinates must
    be readable from g on labeled images: ``loss_readout``. The log shows
    ``positive_share``, the share of pairs that are aligned, and ``spread``, the
    variance of g over the batch relative to its mean square (0 means collapse).

    In distributed runs, each rank pairs its own people, and ``loss_readout`` is the
    mean over its own labeled joints, however many there are.

    Args:
        head (dict, optional): Config of the graph network. Defaults to
            ``dict(type='TopologyHead')``.
        loss (dict, optional): Config of the loss. Defaults to
            ``dict(type='IHTALoss', share=0.1)``.
        readout_weight (float): Factor of ``loss_readout`` relative to the alignment. It
            is not in the paper; 0 turns it off. Defaults to 1.0.
    """

    needs = (SOURCE, "target")
    reads = ("heatmaps",)

    def __init__(
        self,
        head: dict | None = None,
        loss: dict | None = None,
        readout_weight: float = 1.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if self.metainfo is None:
            raise ValueError("IHTA needs the skeleton: set `joints` of the estimator")
        given = dict(
            in_channels=self.in_channels,
            num_keypoints=self.metainfo["num_keypoints"],
            skeleton_links=self.metainfo["skeleton_links"],
        )
        self.head = MODELS.build({**given, **(head or dict(type="TopologyHead"))})
        self.loss_module = MODELS.build(loss or dict(type="IHTALoss", share=0.1))
        self.readout_weight = readout_weight
        if not readout_weight:  # DistributedDataParallel waits for gradients
            self.head.coordinates.requires_grad_(False)

    def loss(self, batch: DomainBatch) -> dict[str, Tensor]:
        nodes = keypoint_features(batch.features[self.feature], batch.maps["xy"])
        confidence = keypoint_confidence(batch.maps["xy"])
        topology = self.head(nodes)
        source, target = batch.slice(SOURCE), batch.slice("target")
        with torch.no_grad():
            similarity = pose_similarity(
                nodes[source], nodes[target], confidence[source], confidence[target]
            )
        align = self.loss_module(topology[source], topology[target], similarity)
        terms = dict(
            loss_align=align / topology[0].numel(),
            positive_share=self.loss_module.positive_share(similarity),
            spread=relative_spread(topology.detach()),
        )
        if self.readout_weight:
            terms["loss_readout"] = self.readout_weight * self._readout_loss(
                batch, topology
            )
        return terms

    def _readout_loss(self, batch: DomainBatch, topology: Tensor) -> Tensor:
        """Return the mean squared error of labeled joint coordinates read from g."""
        labeled = batch.slice("labeled")
        samples = batch.data_samples[labeled]
        if not samples:
            return empty_sum(self.head.readout(topology))
        fields = [sample.gt_fields for sample in samples]
        labels = [sample.gt_instance_labels.keypoint_weights for sample in samples]
        if isinstance(fields[0], MultilevelPixelData):  # the finest level
            fields = [levels[levels.nlevel - 1] for levels in fields]
            labels = [levels[-1] for levels in labels]
        heatmaps = torch.stack([field.heatmaps for field in fields])
        weights = torch.cat(labels)
        error = self.head.readout(topology[labeled]) - peak_coordinates(heatmaps)
        return (error.square().sum(-1) * weights).sum() / weights.sum().clamp(min=1)


def peak_coordinates(heatmaps: Tensor) -> Tensor:
    """Return heatmap peaks as (x, y) in [0, 1]: (B, K, h, w) to (B, K, 2)."""
    height, width = heatmaps.shape[-2:]
    peak = heatmaps.flatten(2).argmax(dim=-1)
    xy = torch.stack([peak % width, peak // width], dim=-1)
    return xy.to(heatmaps.dtype) / heatmaps.new_tensor([width - 1, height - 1])


def relative_spread(topology: Tensor) -> Tensor:
    """Return the variance of g (B, K, D) over the batch divided by its mean square."""
    variance = (topology - topology.mean(dim=0)).square().mean()
    return variance / topology.square().mean().clamp(min=1e-12)
