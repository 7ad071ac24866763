from collections.abc import Mapping, Sequence

import torch
import torch.nn.functional as F
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

from ...codecs import MarginalHeatmap
from ..layers.marginal_heatmaps import (
    PLANES,
    cell_centers,
    flip_marginals,
    marginal_gaussians,
    plane_shape,
    soft_argmax,
    spatial_softmax,
)
from ..losses.marginal_kl_loss import mean_over_joints

_NORM = dict(type="BN")

#: Of one stage: (B, K, h, w) for 'xy', (B, K, d, w) for 'xz', (B, K, h, d) for 'yz'.
Logits = tuple[Tensor, Tensor, Tensor]


def exchange_axis(features: Tensor, depth: int, plane: str) -> Tensor:
    """Read channels as depth, and the axis that a plane lacks as channels.

    The C channels are g groups of d cells. Depth changes places with y for ``'xz'``,
    and with x for ``'yz'``.

    Args:
        features (Tensor): Shape (B, g d, h, w).
        depth (int): Number d of cells in depth.
        plane (str): ``'xz'`` or ``'yz'``.

    Returns:
        Tensor: (B, g h, d, w) for ``'xz'``, (B, g w, h, d) for ``'yz'``.
    """
    grouped = features.unflatten(1, (-1, depth))  # (B, g, d, h, w)
    lacking = dict(xz=3, yz=4)[plane]
    return grouped.transpose(2, lacking).flatten(1, 2)


class AxisPermutation(nn.Module):
    """Exchange an axis of feature maps for depth; see :func:`exchange_axis`.

    One 1x1 convolution before it makes the channels a multiple of d, one after it
    brings them back: there, every cell sees the whole axis that was exchanged.

    Args:
        plane (str): ``'xz'`` or ``'yz'``.
        channels (int): Channels of the feature maps, before and after.
        size (Sequence[int]): Number of cells (w, h, d).
    """

    def __init__(self, plane: str, channels: int, size: Sequence[int]) -> None:
        super().__init__()
        width, height, depth = size
        groups = -(-channels // depth)  # rounded up
        lacking = height if plane == "xz" else width
        self.plane, self.depth = plane, depth
        self.before = ConvModule(channels, groups * depth, 1, norm_cfg=_NORM)
        self.after = ConvModule(groups * lacking, channels, 1, norm_cfg=_NORM)

    def forward(self, features: Tensor) -> Tensor:
        """(B, channels, h, w) to (B, channels, rows, columns) of the plane."""
        exchanged = exchange_axis(self.before(features), self.depth, self.plane)
        return self.after(exchanged)


class MarginalColumn(nn.Module):
    """Convolutions that turn feature maps into the logits of one plane.

    Half way, feature maps of the shape (h, w) get that of the plane: with
    ``axis_permutation`` as in :class:`AxisPermutation`, else they are resized.

    Args:
        plane (str): ``'xy'``, ``'xz'`` or ``'yz'``.
        channels (int): Channels of the feature maps.
        out_channels (int): Number of joints K.
        size (Sequence[int]): Number of cells (w, h, d).
        num_convs (int): Number of 3x3 convolutions in either half.
        axis_permutation (bool): Whether an axis is exchanged for depth.
    """

    def __init__(
        self,
        plane: str,
        channels: int,
        out_channels: int,
        size: Sequence[int],
        num_convs: int,
        axis_permutation: bool,
    ) -> None:
        super().__init__()

        def convolutions() -> nn.Sequential:
            return nn.Sequential(
                *(
                    ConvModule(channels, channels, 3, padding=1, norm_cfg=_NORM)
                    for _ in range(num_convs)
                )
            )

        self.before = convolutions()
        self.turn: nn.Module
        if plane == "xy":
            self.turn = nn.Identity()
        elif axis_permutation:
            self.turn = AxisPermutation(plane, channels, size)
        else:
            self.turn = nn.Upsample(size=plane_shape(plane, size), mode="bilinear")
        self.after = convolutions()
        self.final_layer = nn.Conv2d(channels, out_channels, 1)

    def forward(self, features: Tensor) -> Tensor:
        """(B, channels, h, w) to logits (B, K, rows, columns)."""
        return self.final_layer(self.after(self.turn(self.before(features))))


class MarginalCombiner(nn.Module):
    """Project the three maps of a stage onto feature maps for the next one.

    Position (y, x) sees the values of ``'xy'`` there, column x of ``'xz'`` and row y of
    ``'yz'``, over all joints and the whole depth::

        out(y, x) = norm(A xy(y, x) + B xz(:, x) + C yz(y, :))

    Args:
        num_keypoints (int): Number of joints K.
        channels (int): Channels of the feature maps.
        depth (int): Number d of cells in depth.
    """

    def __init__(self, num_keypoints: int, channels: int, depth: int) -> None:
        super().__init__()
        self.xy = nn.Conv2d(num_keypoints, channels, 1, bias=False)
        self.xz = nn.Conv1d(num_keypoints * depth, channels, 1, bias=False)
        self.yz = nn.Conv1d(num_keypoints * depth, channels, 1, bias=False)
        self.norm = nn.BatchNorm2d(channels)

    def forward(self, xy: Tensor, xz: Tensor, yz: Tensor) -> Tensor:
        """(B, K, h, w), (B, K, d, w) and (B, K, h, d) to (B, channels, h, w)."""
        along_x = self.xz(xz.flatten(1, 2))
        along_y = self.yz(yz.transpose(2, 3).flatten(1, 2))
        return self.norm(self.xy(xy) + along_x[..., None, :] + along_y[..., :, None])


@MODELS.register_module()
class MarginalHeatmapHead(BaseHead):
    """Three columns of convolutions that predict marginal heatmaps of 3D joints.

    Nibali et al., "3D Human Pose Estimation with 2D Marginal Heatmaps", WACV 2019, as
    used in Sec. 4.2 of Zhang et al., "Monocular 3D Human Pose Estimation with Domain
    Feature Alignment and Self Training". It works on the last feature map of any
    backbone: a 1x1 convolution, ``num_deconvs`` transposed convolutions that double the
    resolution, and bilinear resizing to (h, w) if that is another size. Columns
    (:class:`MarginalColumn`) then give the logits of the planes ``'xy'``, ``'xz'`` and
    ``'yz'``; see :mod:`mmpose_da.models.layers.marginal_heatmaps`. With several stages,
    each sees the features plus a projection (:class:`MarginalCombiner`) of the maps of
    the one before, and all are trained.

    The published columns are residual and deeper; these are kept small. The projection
    between stages is a choice made here.

    Args:
        in_channels (int | Sequence[int]): Channels of the feature maps; the last is
            used.
        out_channels (int): Number of joints K.
        decoder (dict): Config of the codec, a
            :class:`~mmpose_da.codecs.MarginalHeatmap`, which sets the grid.
        channels (int): Channels of the columns. Defaults to 128.
        num_deconvs (int): Number of transposed convolutions. Defaults to 2, for
            features of stride 32 and maps of an eighth of the input; 0 suits an HRNet.
        num_convs (int): Number of 3x3 convolutions in either half of a column. Defaults
            to 2.
        axis_permutation (bool): Whether the columns of ``'xz'`` and ``'yz'`` exchange
            an axis for depth half way. Else they resize. Defaults to True.
        num_stages (int): Number of stages. Defaults to 1.
        loss (dict, optional): Config of the loss, called as :class:`MarginalKLLoss`.
            Defaults to ``dict(type='MarginalKLLoss')``.
        init_cfg (dict, optional): Initialization, see MMEngine's ``BaseModule``.
            Defaults to None.

    Raises:
        ValueError: The codec is another one, or ``num_stages`` is not positive.
    """

    def __init__(
        self,
        in_channels: int | Sequence[int],
        out_channels: int,
        decoder: ConfigType,
        channels: int = 128,
        num_deconvs: int = 2,
        num_convs: int = 2,
        axis_permutation: bool = True,
        num_stages: int = 1,
        loss: OptConfigType = None,
        init_cfg: OptConfigType = None,
    ) -> None:
        super().__init__(init_cfg)
        if num_stages < 1:
            raise ValueError(f"num_stages must be positive, got {num_stages}")
        self.in_channels = in_channels
        self.out_channels = out_channels
        self.decoder = KEYPOINT_CODECS.build(decoder)
        if not isinstance(self.decoder, MarginalHeatmap):
            raise ValueError(
                "decoder must be a MarginalHeatmap, which sets the grid of the maps, "
                f"but is a {type(self.decoder).__name__}"
            )
        self.loss_module = MODELS.build(loss or dict(type="MarginalKLLoss"))
        size = self.decoder.heatmap_size
        last = in_channels if isinstance(in_channels, int) else in_channels[-1]
        self.stem = nn.Sequential(
            ConvModule(last, channels, 1, norm_cfg=_NORM),
            *(_double(channels) for _ in range(num_deconvs)),
        )
        self.stages = nn.ModuleList(
            nn.ModuleDict(
                {
                    plane: MarginalColumn(
                        plane, channels, out_channels, size, num_convs, axis_permutation
                    )
                    for plane in PLANES
                }
            )
            for _ in range(num_stages)
        )
        self.combiners = nn.ModuleList(
            MarginalCombiner(out_channels, channels, size[2])
            for _ in range(num_stages - 1)
        )
        self._best_peaks = _best_peaks(size, self.decoder.sigma)

    def forward(self, feats: Sequence[Tensor]) -> Logits | list[Logits]:
        """Compute the logits of the maps.

        Args:
            feats (Sequence[Tensor]): Feature maps; the last, (B, C, h', w'), is used.

        Returns:
            tuple[Tensor] | list[tuple[Tensor]]: Logits (xy, xz, yz) of shapes
            (B, K, h, w), (B, K, d, w) and (B, K, h, d); with several stages a list of
            such tuples.
        """
        features = self.stem(feats[-1])
        shape = plane_shape("xy", self.decoder.heatmap_size)
        if features.shape[2:] != shape:
            features = F.interpolate(features, shape, mode="bilinear")
        outputs: list[Logits] = []
        for index, columns in enumerate(self.stages):
            x = features
            if index > 0:
                maps = (spatial_softmax(logits).to(x) for logits in outputs[-1])
                x = x + self.combiners[index - 1](*maps)
            assert isinstance(columns, nn.ModuleDict)
            xy, xz, yz = (column(x) for column in columns.values())
            outputs.append((xy, xz, yz))
        return outputs if len(outputs) > 1 else outputs[0]

    def loss(
        self,
        feats: Sequence[Tensor],
        batch_data_samples: OptSampleList,
        train_cfg: ConfigType = {},  # noqa: B006 - as in MMPose; it is not changed
    ) -> dict[str, Tensor]:
        """Compute the loss of all stages.

        Args:
            feats (Sequence[Tensor]): Feature maps.
            batch_data_samples (list[PoseDataSample]): B samples with the labels of the
                codec, one instance each.
            train_cfg (dict): With ``compute_acc=False``, there is only the loss.
                Defaults to {}.

        Returns:
            dict[str, Tensor]: ``loss_kpt``, the sum over the stages; and for the log,
            detached, in cells, ``xy_error`` and ``z_error``: the mean distance in the
            image plane and in depth of the last stage's joints, over those with a
            label of it (0 with none).
        """
        labels, weights, depth_weights = (
            torch.cat([sample.gt_instance_labels[key] for sample in batch_data_samples])
            for key in ("keypoint_labels", "keypoint_weights", "depth_weights")
        )
        targets = marginal_gaussians(
            labels, self.decoder.heatmap_size, self.decoder.sigma
        )
        outputs = self.forward(feats)
        losses = dict(
            loss_kpt=sum(
                self.loss_module(by_plane(stage), targets, weights, depth_weights)
                for stage in stages_of(outputs)
            )
        )
        if train_cfg.get("compute_acc", True):
            with torch.no_grad():
                cells = labels.new_tensor(self.decoder.heatmap_size) / 2
                error = (soft_argmax(self._maps(outputs)) - labels) * cells
                known = (weights > 0).to(error)
                depth_known = known * (depth_weights > 0)
                distance = torch.linalg.vector_norm(error[..., :2], dim=-1)
                losses["xy_error"] = mean_over_joints(distance, known)
                losses["z_error"] = mean_over_joints(error[..., 2].abs(), depth_known)
        return losses

    def predict(
        self,
        feats: Features,
        batch_data_samples: OptSampleList,
        test_cfg: ConfigType = {},  # noqa: B006 - as in MMPose; it is not changed
    ) -> Predictions:
        """Predict 3D joints from the last stage's maps.

        The score of a joint is the mean over the planes of its map's peak, divided by
        the peak of a Gaussian of the codec's sigma in the middle of a cell; at most 1.

        Args:
            feats (Sequence[Tensor] | list[Sequence[Tensor]]): Feature maps; with
                ``flip_test``, those of the images and of their mirror images.
            batch_data_samples (list[PoseDataSample]): B samples; with ``flip_test``,
                the ``flip_indices`` of the first are used.
            test_cfg (dict): ``flip_test`` averages the maps with those of the mirror
                images. Cells are mirrored exactly, so that ``shift_heatmap`` is of no
                use here and not read. With ``output_heatmaps``, the maps of ``'xy'``
                are returned, too. Defaults to {}.

        x and y are in input pixels, which the estimator converts to image pixels as
        for all heads. z, relative to the root, is in image pixels already if a sample
        has the ``input_scale`` of its crop, else in input pixels.

        Returns:
            list[InstanceData] | tuple[list[InstanceData], list[PixelData]]: For each
            image ``keypoints`` (1, K, 3) and ``keypoint_scores`` (1, K); and
            ``heatmaps`` (K, h, w).
        """
        if test_cfg.get("flip_test", False):
            images, mirrored = feats
            flip_indices = batch_data_samples[0].metainfo["flip_indices"]
            maps = self._maps(self.forward(images))
            back = flip_marginals(self._maps(self.forward(mirrored)), flip_indices)
            maps = {plane: (maps[plane] + back[plane]) / 2 for plane in PLANES}
        else:
            maps = self._maps(self.forward(feats))
        preds = self.decode((soft_argmax(maps), self.scores(maps)))
        for pred, sample in zip(preds, batch_data_samples, strict=True):
            meta = sample.metainfo
            if "input_scale" in meta:  # the estimator converts x and y alone
                pred.keypoints[..., 2] *= meta["input_scale"][0] / meta["input_size"][0]
        if test_cfg.get("output_heatmaps", False):
            return preds, [PixelData(heatmaps=heatmaps) for heatmaps in maps["xy"]]
        return preds

    @staticmethod
    def _maps(outputs: Logits | list[Logits]) -> dict[str, Tensor]:
        """The last stage's maps by plane, each with the sum 1."""
        last = by_plane(stages_of(outputs)[-1])
        return {plane: spatial_softmax(logits) for plane, logits in last.items()}

    def scores(self, maps: Mapping[str, Tensor]) -> Tensor:
        peaks = [
            maps[plane].flatten(2).amax(-1) / best
            for plane, best in self._best_peaks.items()
        ]
        return torch.stack(peaks).mean(0).clamp(max=1)


def stages_of(outputs: Logits | list[Logits]) -> list[Logits]:
    """Return the output of the head as a list of stages."""
    return outputs if isinstance(outputs, list) else [outputs]


def by_plane(stage: Logits) -> dict[str, Tensor]:
    """Return the logits of a stage by the name of their plane."""
    return dict(zip(PLANES, stage, strict=True))


def _double(channels: int) -> ConvModule:
    """A transposed convolution that doubles the resolution without a shift."""
    return ConvModule(
        channels,
        channels,
        kernel_size=4,
        stride=2,
        padding=1,
        conv_cfg=dict(type="deconv"),
        norm_cfg=_NORM,
    )


def _best_peaks(size: Sequence[int], sigma: float) -> dict[str, float]:
    """By plane, the peak of a Gaussian at the center of a cell amid the grid."""
    like = torch.zeros(())
    middle = torch.stack([cell_centers(count, like)[count // 2] for count in size])
    maps = marginal_gaussians(middle[None, None], size, sigma)
    return {plane: float(values.amax()) for plane, values in maps.items()}
