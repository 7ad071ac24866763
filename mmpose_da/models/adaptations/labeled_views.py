from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
from mmengine.structures import PixelData
from mmpose.models.heads import CPMHead, HeatmapHead
from mmpose.registry import MODELS
from mmpose.structures import PoseDataSample

from ...structures import DomainBatch
from ..layers import (
    Pixels,
    View,
    gaussian_heatmaps,
    heatmap_peaks,
    swap_joints,
    warp_points,
)
from .base import Adaptation, check_no_loss

if TYPE_CHECKING:
    from ..pose_estimators import DomainAdaptiveTopdown

_TOLERANCE = 1e-3  # of the height of a peak


@MODELS.register_module()
class LabeledViews(Adaptation):
    """Shows labeled images in random views, and moves their labels along.

    A student that sees target images in strong views, such as that of
    :class:`MeanTeacher`, would otherwise learn the views together with the domain:
    they change the colors and the sharpness of target images alone. In Kim et al., "A
    Unified Framework for Domain Adaptive Pose Estimation", ECCV 2022, source images
    have the view of the student.

    The images are those of ``source`` and ``target_labeled``. A view that moves joints
    needs labels that are heatmaps: their peaks are moved, and Gaussians of the codec's
    sigma are drawn around them. Joints that leave the image get the weight 0. A view
    that changes colors alone fits every head.

    It has no loss, and thus no ``weight`` or ``rampup``.

    Args:
        view (dict): Config of the view, such as ``dict(type='RandomView', ...)``.
        kwargs: See :class:`Adaptation`.

    Raises:
        ValueError: If the view moves joints and the labels are not heatmaps.
    """

    needs = ("labeled",)

    def __init__(self, view: dict, **kwargs: Any) -> None:
        check_no_loss(LabeledViews, kwargs)
        super().__init__(**kwargs)
        self.view = MODELS.build(view)

    def bind(self, estimator: DomainAdaptiveTopdown) -> None:
        self.pixels = Pixels(estimator.data_preprocessor)
        if not self.view.moves:
            return
        head: Any = estimator.head
        codec: Any = getattr(head, "decoder", None)
        heatmap_type = getattr(codec, "heatmap_type", "gaussian")
        if (
            not isinstance(head, (HeatmapHead, CPMHead))
            or not hasattr(codec, "sigma")
            or heatmap_type != "gaussian"
        ):
            raise ValueError(
                "LabeledViews moves joints, so their labels must be Gaussian heatmaps "
                f"(MSRAHeatmap, UDPHeatmap), but the head is a {type(head).__name__} "
                f"with the codec {type(codec).__name__}; leave out rotation, scale, "
                "shear, translation, and flip_prob of the view"
            )
        if self.metainfo is None:
            raise ValueError(
                "LabeledViews needs to know left and right joints: set `joints` of the "
                "estimator"
            )
        self.flip_indices = self.metainfo["flip_indices"]
        self.sigma, self.scale = float(codec.sigma), codec.scale_factor

    @torch.no_grad()
    def prepare(self, batch: DomainBatch) -> None:
        place = batch.slice("labeled")
        if place.stop == place.start:
            return
        crops = batch.images[place]
        view = self.view(self.pixels.to_rgb(crops))
        images = self.pixels.from_rgb(view.images).to(crops.dtype)
        batch.images = torch.cat([images, batch.images[place.stop :]])
        if self.view.moves:
            samples = batch.data_samples
            batch.data_samples = [
                *self._moved(samples[place], view),
                *samples[place.stop :],
            ]

    def _moved(
        self, samples: Sequence[PoseDataSample], view: View
    ) -> list[PoseDataSample]:
        """Return samples with the labels of the view; those given are not modified."""
        heatmaps = torch.stack([sample.gt_fields.heatmaps for sample in samples])
        weights = torch.cat(
            [sample.gt_instance_labels.keypoint_weights for sample in samples]
        )
        points, height = heatmap_peaks(heatmaps)
        # Lower than a Gaussian between four pixels: the joint is outside of the crop.
        known = height > math.exp(-0.25 / self.sigma**2) - _TOLERANCE
        scale = points.new_tensor(self.scale)
        points = warp_points(points * scale, view.matrices) / scale
        flip = view.flipped, self.flip_indices
        points, weights, known = (
            swap_joints(x, *flip) for x in (points, weights, known)
        )
        size = heatmaps.shape[2:]
        last = points.new_tensor([size[1] - 1, size[0] - 1])
        inside = ((points >= 0) & (points <= last)).all(dim=-1)
        weights = weights * (known & inside)
        drawn = gaussian_heatmaps(points, size, self.sigma).to(heatmaps)
        drawn = drawn * (weights > 0)[..., None, None]
        moved = []
        for sample, maps, weight in zip(samples, drawn, weights, strict=True):
            sample = sample.new()
            sample.gt_fields = PixelData(heatmaps=maps)
            sample.gt_instance_labels = sample.gt_instance_labels.new()
            sample.gt_instance_labels.keypoint_weights = weight[None]
            moved.append(sample)
        return moved
