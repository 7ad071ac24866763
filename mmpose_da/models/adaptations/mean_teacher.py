from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
from mmengine.model import ExponentialMovingAverage, MomentumAnnealingEMA
from mmpose.registry import MODELS
from torch import Tensor
from torch.nn.modules.batchnorm import _BatchNorm

from ...structures import (
    TARGET_UNLABELED,
    DomainBatch,
    Pseudo,
    map_tensors,
    tensors,
    warp_part_labels,
)
from ..layers import (
    KeypointOcclusion,
    Pixels,
    View,
    swap_joints,
    warp_heatmaps,
    warp_points,
)
from ..layers.numerics import empty_sum, promote
from .base import Adaptation

if TYPE_CHECKING:
    from ..pose_estimators import DomainAdaptiveTopdown, PoseNetwork


@MODELS.register_module()
class MeanTeacher(Adaptation):
    """Teaches a student the predictions of its own average on unlabeled images.

    Tarvainen and Valpola, "Mean Teachers are Better Role Models", NIPS 2017, for poses
    as in Kim et al., "A Unified Framework for Domain Adaptive Pose Estimation", ECCV
    2022, and Chen et al., "Domain Adaptive Pose Estimation via Multi-level Alignment".
    The teacher and the student see different views of every unlabeled target image. The
    joints that the teacher finds, mapped into the student's view, are pseudo-labels.

    This works with every head that
    :func:`~mmpose_da.models.heads.head_outputs` reads: heatmaps, SimCC, regression.

    :class:`~mmpose_da.engine.EMATeacherHook` updates the teacher. To deploy it, set
    ``network='teacher'`` in ``test_cfg`` of the estimator.

    The log shows ``share``, the share of joints that the student is taught, and
    ``confidence``, the teacher's mean confidence.

    In distributed runs, ``share`` applies to the images of each rank, and an ``'own'``
    teacher normalizes with the statistics of its own batch.

    Args:
        student_view (dict, optional): Config of the student's view. Defaults to
            ``dict(type='RandomView')``, the crop itself.
        teacher_view (dict, optional): The same for the teacher's. Defaults to
            ``dict(type='RandomView')``.
        teacher_views (int): Number of views of each image that the teacher sees. The
            heatmaps of several are carried back to the crop and averaged, which needs a
            head with heatmaps. Defaults to 1.
        momentum (float): EMA decay after warm-up. MMEngine's averages call 1 minus
            this value their momentum. Defaults to 0.999.
        gamma (int): Warm-up: the student's share in an update is
            gamma / (gamma + steps) while this exceeds 1 - ``momentum``, so that the
            initial weights are soon forgotten. 0: no warm-up, a constant decay.
            Defaults to 1.
        statistics (str): Source of the teacher's batch-norm statistics; the papers do
            not specify it. ``'own'``: it normalizes with the statistics of its batch,
            and its running statistics, used in deployment, are those of the target
            images that it sees (as in Li et al., "Revisiting Batch Normalization for
            Practical Domain Adaptation", ICLR Workshop 2017). ``'average'``: an EMA of
            the student's running statistics. ``'student'``: a copy of them. Defaults
            to ``'own'``.
        pseudo_heatmaps (str): For heads with heatmaps, ``'gaussian'``: a Gaussian of
            height 1 at the teacher's peak, or ``'warped'``: the teacher's heatmap.
            Defaults to ``'gaussian'``.
        sigma (float): Standard deviation of the Gaussian in heatmap pixels; should
            match the codec. Defaults to 2.0.
        threshold (float): Minimum confidence of a joint that is taught. Defaults to 0.
        share (float): Each joint is taught in this share of the images of a batch,
            those with the highest confidence. Defaults to 1.0.
        share_of (str): ``'joint'``: the share is that of each joint, so all joints are
            taught equally often. ``'all'``: it is that of all joints of all images
            together, so a joint of which the teacher is seldom sure is seldom taught,
            as in the code of Kim et al. Defaults to ``'joint'``.
        occlusion (dict, optional): Arguments of :class:`KeypointOcclusion`, which hides
            some joints from the student: those that are taught, or, with its
            ``threshold``, those inside the view of which the teacher is so sure.
            Defaults to None.
        loss (dict, optional): For heads with heatmaps, config of the loss of heatmaps,
            pseudo heatmaps, and weights. Other heads use their own loss. Defaults to
            ``dict(type='ConsistencyLoss')``.
    """

    needs = (TARGET_UNLABELED,)

    average: ExponentialMovingAverage
    stride: Tensor

    def __init__(
        self,
        student_view: dict | None = None,
        teacher_view: dict | None = None,
        teacher_views: int = 1,
        momentum: float = 0.999,
        gamma: int = 1,
        statistics: str = "own",
        pseudo_heatmaps: str = "gaussian",
        sigma: float = 2.0,
        threshold: float = 0.0,
        share: float = 1.0,
        share_of: str = "joint",
        occlusion: dict | None = None,
        loss: dict | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if not 0 < momentum < 1:
            raise ValueError(f"momentum must be in (0, 1), but is {momentum}")
        if statistics not in ("own", "average", "student"):
            raise ValueError(
                f"statistics='{statistics}' is none of 'own', 'average', 'student'"
            )
        if pseudo_heatmaps not in ("gaussian", "warped"):
            raise ValueError(
                f"pseudo_heatmaps='{pseudo_heatmaps}' is neither 'gaussian' nor "
                "'warped'"
            )
        if not 0 < share <= 1:
            raise ValueError(f"share must be in (0, 1], but is {share}")
        if share_of not in ("joint", "all"):
            raise ValueError(f"share_of='{share_of}' is neither 'joint' nor 'all'")
        if teacher_views < 1:
            raise ValueError(f"teacher_views must be positive, but is {teacher_views}")
        if gamma < 0:
            raise ValueError(f"gamma must not be negative, but is {gamma}")
        if self.metainfo is None:
            raise ValueError(
                "MeanTeacher needs to know left and right joints: set `joints` of the "
                "estimator"
            )
        self.flip_indices: Sequence[int] = self.metainfo["flip_indices"]
        self.student_view = MODELS.build(student_view or dict(type="RandomView"))
        self.teacher_view = MODELS.build(teacher_view or dict(type="RandomView"))
        self.teacher_views = teacher_views
        self.momentum, self.gamma = momentum, gamma
        self.statistics = statistics
        self.pseudo_heatmaps, self.sigma = pseudo_heatmaps, sigma
        needs_maps = pseudo_heatmaps == "warped" or teacher_views > 1
        self.reads = ("points", "heatmaps") if needs_maps else ("points",)
        self.threshold, self.share, self.share_of = threshold, share, share_of
        self.occlusion = None if occlusion is None else KeypointOcclusion(**occlusion)
        self.loss_module = MODELS.build(loss or dict(type="ConsistencyLoss"))

    def bind(self, estimator: DomainAdaptiveTopdown) -> None:
        assert estimator.head_outputs is not None  # the estimator checks `reads`
        common = dict(
            momentum=1 - self.momentum, update_buffers=self.statistics != "student"
        )
        self.average = (
            MomentumAnnealingEMA(estimator.student, gamma=self.gamma, **common)
            if self.gamma
            else ExponentialMovingAverage(estimator.student, **common)
        )
        self.teacher.test_cfg = estimator.test_cfg  # the same, not a copy
        self.pixels = Pixels(estimator.data_preprocessor)
        self.outputs = estimator.head_outputs
        # Image pixels per unit of the head's grid, (x, y).
        scale = torch.tensor(self.outputs.scale)
        self.register_buffer("stride", scale, persistent=False)

    @property
    def teacher(self) -> PoseNetwork:
        return self.average.module

    @property
    def teacher_is_set(self) -> bool:
        return bool(self.average.steps > 0)

    def train(self, mode: bool = True) -> MeanTeacher:
        """Keep the teacher in evaluation mode, except for its batch normalization."""
        super().train(mode)
        if hasattr(self, "average"):
            self.average.eval()
            if self.statistics == "own":
                for module in self.teacher.modules():
                    if isinstance(module, _BatchNorm):
                        module.train(mode)
        return self

    def update(self, estimator: DomainAdaptiveTopdown) -> None:
        """Update the teacher's average; the first update copies the student."""
        first = self.average.steps == 0
        # Look up the tensors again: moving the model to a device replaces them.
        if self.statistics == "average" or (self.statistics == "own" and first):
            self.average.avg_parameters = self.teacher.state_dict()
        else:
            self.average.avg_parameters = dict(self.teacher.named_parameters())
        self.average.update_parameters(estimator.student)

    @torch.no_grad()
    def prepare(self, batch: DomainBatch) -> None:
        if self.average.steps == 0:
            raise RuntimeError(
                "MeanTeacher has no teacher yet: add dict(type='EMATeacherHook') to "
                "custom_hooks"
            )
        if len(batch[TARGET_UNLABELED]) == 0:
            return
        start = batch.slice(TARGET_UNLABELED).start
        crops = batch.images[start:]
        seen = crops if batch.teacher_images is None else batch.teacher_images
        student = self.student_view(self.pixels.to_rgb(crops))
        teacher, found = self._ask_teacher(self.pixels.to_rgb(seen))
        points, confidence = self.outputs.points(found)
        matrices, flipped = teacher.to(student)
        matrices = self._between_grids(matrices)
        flip = flipped, self.flip_indices
        points = swap_joints(warp_points(points, matrices), *flip)
        confidence = swap_joints(confidence, *flip)
        inside = _is_inside(points[..., :2], self.outputs.last(found))
        taught = self._is_sure(confidence) & inside
        heatmaps = None
        if self.pseudo_heatmaps == "warped":
            heatmaps = self.outputs.maps(found)["xy"]
            heatmaps = warp_heatmaps(heatmaps, matrices, *flip)
        batch.pseudo = Pseudo(points, confidence, taught.to(points.dtype), heatmaps)

        images = student.images
        if self.occlusion is not None:
            sure = self.occlusion.threshold
            hidable = taught if sure is None else inside & (confidence >= sure)
            images = self.occlusion(images, points[..., :2] * self.stride, hidable)
        images = self.pixels.from_rgb(images).to(crops.dtype)
        batch.images = torch.cat([batch.images[:start], images])
        batch.data_samples = [
            *batch.data_samples[:start],
            *warp_part_labels(
                batch.data_samples[start:],
                student.matrices,
                student.flipped,
                self.flip_indices,
            ),
        ]

    def loss(self, batch: DomainBatch) -> dict[str, Tensor]:
        part = batch[TARGET_UNLABELED]
        if len(part) == 0:
            return dict(loss=empty_sum(*tensors(part.outputs)))
        pseudo = part.pseudo
        assert pseudo is not None  # of `prepare`
        loss = self.outputs.pseudo_loss(
            part.outputs, pseudo, self.sigma, self.loss_module
        )
        return dict(
            loss=loss,
            share=pseudo.weights.mean(),
            confidence=pseudo.confidence.mean(),
        )

    def _ask_teacher(self, crops: Tensor) -> tuple[View, Any]:
        """Return the teacher's view of RGB crops, and its output for this view.

        Several views count as one, the crops themselves, with the mean of the heatmaps.
        """
        total: Tensor | float = 0.0
        for _ in range(self.teacher_views):
            view = self.teacher_view(crops)
            found = self.teacher(self.pixels.from_rgb(view.images))
            found = map_tensors(promote, found)
            if self.teacher_views == 1:
                return view, found
            matrices = self._between_grids(torch.linalg.inv(view.matrices))
            total = total + warp_heatmaps(
                self.outputs.maps(found)["xy"],
                matrices,
                view.flipped,
                self.flip_indices,
            )
        return View.of(crops), total / self.teacher_views

    def _between_grids(self, matrices: Tensor) -> Tensor:
        """Convert matrices between image pixels to matrices between grid units."""
        stride = torch.cat([self.stride, self.stride.new_ones(1)])
        return matrices * stride / stride[:, None]

    def _is_sure(self, confidence: Tensor) -> Tensor:
        """Return which joints (B, K) are confident enough, in value and in rank."""
        ranked = confidence.flatten()[:, None] if self.share_of == "all" else confidence
        count = math.ceil(self.share * len(ranked))
        lowest = ranked.topk(count, dim=0).values[-1]
        return (confidence >= lowest) & (confidence >= self.threshold)


def _is_inside(points: Tensor, last: Sequence[float]) -> Tensor:
    """Return which points (B, K, 2) are between 0 and the last x and y."""
    return ((points >= 0) & (points <= points.new_tensor(last))).all(dim=-1)
