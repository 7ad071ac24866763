from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from mmcv.cnn import ConvModule
from mmengine.structures import PixelData
from mmpose.models.heads import BaseHead
from mmpose.registry import KEYPOINT_CODECS, MODELS
from mmpose.utils.typing import (
    ConfigType,
    Features,
    OptConfigType,
    OptSampleList,
    Predictions,
)
from torch import Tensor, nn

from ...codecs import PartLabels
from ...structures import joint_definition, part_labels, part_regions
from ..layers.heatmaps import heatmap_peaks
from ..layers.marginal_heatmaps import flip_marginals, spatial_softmax
from ..layers.part_pooling import pool_parts, region_masks
from ..layers.pose_prototypes import PosePrototypes, PrototypeRelations
from ..layers.semantic_graph_conv import skeleton_adjacency
from ..layers.spatial_guided_encoder import SpatialGuidedEncoder


@dataclass
class PartMaps:
    """Maps and classifications of the parts, of B images and K joints.

    Attributes:
        maps (dict[str, Tensor]): Logits (B, K, h, w) by the part of the model that
            gives them, in order: ``'cam'``, ``'encoder'``, ``'prototypes'``. The last
            one is the location.
        logits (list[Tensor]): Further classifications (B, K): is the joint in the
            image?
    """

    maps: dict[str, Tensor]
    logits: list[Tensor]

    @property
    def location(self) -> Tensor:
        """The location logits (B, K, h, w)."""
        return list(self.maps.values())[-1]


@MODELS.register_module()
class LocationFreeHead(BaseHead):
    """Finds joints with labels that only say which joints an image shows.

    Xu et al., "Location-free Human Pose Estimation", CVPR 2022, based on the paper's
    abstract. The name of each part is the key that removes it if set to None:

    - Part-aware class activation maps M = W F, which are always there, pooled to one
      logit per joint.
    - ``encoder``: the multi-scale spatial-guided context encoder. The features of all
      scales, guided by M, become features at the finest scale, with maps M of their
      own.
    - ``prototypes``: a prototype of each joint, pooled with M. Its cosine with all
      features is the location map L.
    - ``relations``: relations among the prototypes.

    The part loss is the mean over all classifications: of M before and after the
    encoder, and either of the prototypes and of the features that L pools again, or of
    L itself (``prototypes.classify``). With part labels of parts of an image
    (:class:`~mmpose_da.datasets.MarkPartCrops`), each map is classified by its mass
    inside each part, which is what teaches the model where the joints are. Images with
    keypoints add the location loss: the location map itself is trained. The abstract
    leaves open whether a heatmap branch is trained instead.

    A joint is at the peak of the location map, to a fraction of a cell. The cells cover
    the input exactly (see :class:`~mmpose_da.codecs.PartLabels`), so that a map and the
    mirror image of the one for the mirror image can be averaged as they are. The score
    of a joint is the probability that the image shows it: the sigmoid of the mean of
    the logits.

    Args:
        in_channels (int | Sequence[int]): Channels of the feature maps, from fine to
            coarse, in the order of the backbone's outputs.
        out_channels (int): Number of joints K.
        decoder (dict): Config of the codec, a ``PartLabels``.
        channels (int): Channels of the head's own features. Defaults to 256.
        cam_scale (int): Index of the feature map F of the first M. Defaults to -1: the
            coarsest.
        pool (dict): Arguments of :func:`~mmpose_da.models.layers.pool_parts`. Defaults
            to ``dict(kind='lse')``.
        encoder (dict, optional): Arguments of
            :class:`~mmpose_da.models.layers.SpatialGuidedEncoder`. Defaults to None.
        prototypes (dict, optional): Arguments of
            :class:`~mmpose_da.models.layers.PosePrototypes`. Without ``classify``, the
            location map is pooled like the others, which marked parts need. Defaults to
            None.
        relations (dict, optional): Arguments of
            :class:`~mmpose_da.models.layers.PrototypeRelations`. Defaults to None.
        joints (str | dict, optional): The joint definition, whose skeleton the
            relations need; see :func:`~mmpose_da.structures.joint_metainfo`. Defaults
            to None.
        part_loss (dict, optional): Config of the loss of logits, part labels, and
            weights, each (B, K). Defaults to ``dict(type='PartLoss')``.
        location_loss (dict, optional): Config of the loss of location logits
            (B, K, h, w), normalized coordinates (B, K, 2), and weights (B, K). Defaults
            to ``dict(type='LocationLoss')``.
        init_cfg (dict, optional): See :class:`mmengine.model.BaseModule`.

    Raises:
        ValueError: If the arguments do not fit each other.
    """

    #: The estimator computes the loss of people with part labels only, too.
    learns_parts = True

    def __init__(
        self,
        in_channels: int | Sequence[int],
        out_channels: int,
        decoder: ConfigType,
        channels: int = 256,
        cam_scale: int = -1,
        pool: dict | None = None,
        encoder: dict | None = None,
        prototypes: dict | None = None,
        relations: dict | None = None,
        joints: str | dict | None = None,
        part_loss: dict | None = None,
        location_loss: dict | None = None,
        init_cfg: OptConfigType = None,
    ) -> None:
        super().__init__(init_cfg)
        self.in_channels = in_channels
        self.out_channels = out_channels
        scales = [in_channels] if isinstance(in_channels, int) else list(in_channels)
        if not -len(scales) <= cam_scale < len(scales):
            raise ValueError(
                f"cam_scale={cam_scale} is not the index of one of the {len(scales)} "
                f"feature maps with in_channels={in_channels}"
            )
        self.cam_scale = cam_scale
        self.pool = dict(pool or dict(kind="lse"))
        pool_parts(torch.zeros(1, 1, 1, 1), **self.pool)  # checks the arguments
        # Without the encoder, only one scale is used.
        self.projections = nn.ModuleList(
            ConvModule(scale, channels, 1, norm_cfg=dict(type="BN"))
            for scale in (scales if encoder is not None else [scales[cam_scale]])
        )
        self.cam = nn.Conv2d(channels, out_channels, 1)
        self.encoder = self.context_cam = self.prototypes = None
        if encoder is not None:
            self.encoder = SpatialGuidedEncoder(channels, len(scales), **encoder)
            self.context_cam = nn.Conv2d(channels, out_channels, 1)
        if relations is not None and prototypes is None:
            raise ValueError(
                "head.relations are those of prototypes, but head.prototypes is None; "
                "set relations to None, too"
            )
        if prototypes is not None:
            self.prototypes = PosePrototypes(
                channels,
                out_channels,
                **prototypes,
                relations=None
                if relations is None
                else PrototypeRelations(
                    channels, _skeleton(joints, out_channels), **relations
                ),
            )
        self.part_loss = MODELS.build(part_loss or dict(type="PartLoss"))
        self.location_loss = MODELS.build(location_loss or dict(type="LocationLoss"))
        self.decoder = KEYPOINT_CODECS.build(decoder)
        if not isinstance(self.decoder, PartLabels):
            raise ValueError(
                "head.decoder must be a PartLabels, but is a "
                f"{type(self.decoder).__name__}"
            )

    def part_maps(self, feats: Sequence[Tensor]) -> PartMaps:
        """Compute the maps of all parts of the model.

        Args:
            feats (Sequence[Tensor]): Feature maps (B, C_s, h_s, w_s), from fine to
                coarse.

        Returns:
            PartMaps: The maps, and the classifications of the prototypes.
        """
        if self.encoder is None:
            feats, cam_scale = [feats[self.cam_scale]], 0
        else:
            cam_scale = self.cam_scale
        features = [
            project(scale)
            for project, scale in zip(self.projections, feats, strict=True)
        ]
        used = features[cam_scale]
        cam = self.cam(used)
        found = PartMaps(dict(cam=cam), [])
        if self.encoder is not None:
            assert self.context_cam is not None
            used, *_ = self.encoder(features, cam)
            cam = self.context_cam(used)
            found.maps["encoder"] = cam
        if self.prototypes is not None:
            location, found.logits = self.prototypes(used, cam)
            found.maps["prototypes"] = location
        return found

    def forward(self, feats: Sequence[Tensor]) -> tuple[Tensor, Tensor, list[Tensor]]:
        """Locate and classify the joints.

        Args:
            feats (Sequence[Tensor]): Feature maps (B, C_s, h_s, w_s), from fine to
                coarse.

        Returns:
            tuple[Tensor, Tensor, list[Tensor]]: Location logits (B, K, h, w), logits
            (B, S, K) of the S classifications of the image, and the maps that are
            pooled, each (B, K, h_m, w_m).
        """
        found = self.part_maps(feats)
        pooled = list(found.maps.values())
        if found.logits:  # those of the prototypes, instead of their map
            pooled.pop()
        logits = [pool_parts(maps, **self.pool) for maps in pooled] + found.logits
        return found.location, torch.stack(logits, dim=1), pooled

    def region_masks(self, regions: Tensor, maps: Tensor) -> Tensor:
        """Return the share (B, R, h, w) of each cell of maps inside R parts."""
        height, width = maps.shape[2:]
        size = maps.new_tensor(self.decoder.input_size, dtype=torch.float32)
        stride = size / size.new_tensor([width, height])
        return region_masks(regions, (height, width), stride, (stride - 1) / 2)

    def loss(
        self,
        feats: Sequence[Tensor],
        batch_data_samples: OptSampleList,
        train_cfg: ConfigType = {},  # noqa: B006 - as in MMPose; it is not changed
    ) -> dict[str, Tensor]:
        """Compute the losses.

        Args:
            feats (Sequence[Tensor]): Feature maps.
            batch_data_samples (list[PoseDataSample]): B samples. Those with keypoints
                have the labels of the codec, the others only ``part_labels`` and
                ``part_weights``.
            train_cfg (dict): With ``compute_acc=False``, there are only losses.
                Defaults to {}.

        Returns:
            dict[str, Tensor]: ``loss_part``; ``loss_kpt`` if a sample has keypoints;
            and for the log ``acc_part``, the share of part labels that are right.

        Raises:
            ValueError: If a sample has no part labels, or marked parts that the head
                cannot classify.
        """
        parts = part_labels(batch_data_samples)
        if (
            parts.regions is not None
            and self.prototypes
            and self.prototypes.classifiers
        ):
            raise ValueError(
                "the part labels are those of parts of the image, which MarkPartCrops "
                "marks; prototypes.classify=True classifies the whole image: set "
                "head.prototypes.classify=False"
            )
        location, logits, pooled = self.forward(feats)
        if parts.regions is None:
            stages = list(logits[:, :, None].unbind(1))
        else:
            stages = [
                pool_parts(
                    maps, **self.pool, masks=self.region_masks(parts.regions, maps)
                )
                for maps in pooled
            ]
        labels, weights = parts.labels.flatten(0, 1), parts.weights.flatten(0, 1)
        stages = [stage.flatten(0, 1) for stage in stages]
        losses = dict(
            loss_part=sum(self.part_loss(stage, labels, weights) for stage in stages)
            / len(stages)
        )
        placed = [
            i
            for i, sample in enumerate(batch_data_samples)
            if "keypoint_labels" in sample.gt_instance_labels
        ]
        if placed:
            points, known = (
                torch.cat([batch_data_samples[i].gt_instance_labels[k] for i in placed])
                for k in ("keypoint_labels", "keypoint_weights")
            )
            losses["loss_kpt"] = self.location_loss(location[placed], points, known)
        if train_cfg.get("compute_acc", True):
            with torch.no_grad():
                right = (torch.stack(stages).mean(0) > 0) == (labels > 0.5)
                known = weights > 0
                losses["acc_part"] = (right & known).sum() / known.sum().clamp(min=1)
        return losses

    def predict(
        self,
        feats: Features,
        batch_data_samples: OptSampleList,
        test_cfg: ConfigType = {},  # noqa: B006 - as in MMPose; it is not changed
    ) -> Predictions:
        """Predict joints from the peaks of the location maps.

        Args:
            feats (Sequence[Tensor] | list[Sequence[Tensor]]): Feature maps; with
                ``flip_test``, those of the images and of their mirror images.
            batch_data_samples (list[PoseDataSample]): B samples; with ``flip_test``,
                the ``flip_indices`` of the first are used.
            test_cfg (dict): ``flip_test`` averages the maps, as distributions, and the
                logits with those of the mirror images. Cells are mirrored exactly;
                ``shift_heatmap`` is not read. With ``output_heatmaps``, the maps are
                returned, too. Defaults to {}.

        Returns:
            list[InstanceData] | tuple[list[InstanceData], list[PixelData]]: For each
            image ``keypoints`` (1, K, 2) in input pixels, and ``keypoint_scores``
            (1, K); of images with marked parts ``part_scores`` (1, R, K), the
            probability that each part shows each joint; and ``heatmaps`` (K, h, w),
            whose peaks are the scores.
        """
        if test_cfg.get("flip_test", False):
            order = list(batch_data_samples[0].metainfo["flip_indices"])
            (location, logits, _), (other, other_logits, _) = map(self.forward, feats)
            back = flip_marginals(dict(xy=spatial_softmax(other)), order)["xy"]
            maps = (spatial_softmax(location) + back) / 2
            logits = (logits + other_logits[..., order]) / 2
        else:
            location, logits, _ = self.forward(feats)
            maps = spatial_softmax(location)
        scores = self.scores(logits)
        preds = self.decode((map_peaks(maps), scores))
        for i, regions in enumerate(part_regions(batch_data_samples)):
            if regions is not None:
                shares = self.region_masks(regions[None].to(maps), maps)[0]
                inside = shares.flatten(1) @ maps[i].flatten(1).T  # (R, K)
                preds[i].part_scores = (inside * scores[i])[None]
        if test_cfg.get("output_heatmaps", False):
            shown = maps / maps.amax((2, 3), keepdim=True) * scores[..., None, None]
            return preds, [PixelData(heatmaps=heatmaps) for heatmaps in shown]
        return preds

    @staticmethod
    def scores(logits: Tensor) -> Tensor:
        """Return the probability (B, K) that a joint is shown, of logits (B, S, K)."""
        return logits.mean(1).sigmoid()


def map_peaks(maps: Tensor) -> Tensor:
    """Return the peaks of maps (B, K, h, w) in normalized coordinates (B, K, 2)."""
    height, width = maps.shape[2:]
    points, _ = heatmap_peaks(maps / maps.amax((2, 3), keepdim=True))
    return (2 * points + 1) / points.new_tensor([width, height]) - 1


def _skeleton(joints: Any, count: int) -> Tensor:
    """Return the adjacency (K, K) of a skeleton."""
    if joints is None:
        raise ValueError("head.relations need head.joints, whose skeleton they follow")
    definition = joint_definition(joints)
    if definition["num_keypoints"] != count:
        raise ValueError(
            f"head.joints is '{definition['dataset_name']}' with "
            f"{definition['num_keypoints']} joints, but head.out_channels is {count}"
        )
    return skeleton_adjacency(count, definition["skeleton_links"])
