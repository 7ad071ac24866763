"""A small estimator and batches for it, without any data set."""

from __future__ import annotations

import torch
from mmengine.structures import InstanceData, PixelData
from mmpose.registry import MODELS
from mmpose.structures import PoseDataSample
from torch import Tensor

from mmpose_da.structures import DomainBatch

CHANNELS = 64


#: Arguments of the head of RegDA.
REGDA_HEAD = dict(
    type="LogitHeatmapHead",
    conv_out_channels=(32,),
    conv_kernel_sizes=(3,),
    loss=dict(type="KeypointKLLoss"),
)
#: A head for the first three stages of the backbone, without prototypes and relations.
LOCATION_FREE_HEAD = dict(
    type="LocationFreeHead",
    in_channels=(8, 16, 32),
    out_channels=16,
    channels=8,
    encoder=dict(num_layers=1, num_heads=2),
    decoder=dict(type="PartLabels", input_size=(64, 64)),
)


def model_config(num_keypoints: int = 16, head: dict | None = None, **kwargs) -> dict:
    """A narrow ResNet-18 with one deconvolution: 64 px images, 4 px heatmaps.

    ``head`` replaces arguments of the head.
    """
    return dict(
        data_preprocessor=dict(
            type="PoseDataPreprocessor",
            mean=[123.675, 116.28, 103.53],
            std=[58.395, 57.12, 57.375],
            bgr_to_rgb=True,
        ),
        backbone=dict(type="ResNet", depth=18, stem_channels=8, base_channels=8),
        head=dict(
            type="HeatmapHead",
            in_channels=CHANNELS,
            out_channels=num_keypoints,
            deconv_out_channels=(32, 32, 32),
            deconv_kernel_sizes=(4, 4, 4),
            loss=dict(type="KeypointMSELoss", use_target_weight=True),
            decoder=dict(
                type="MSRAHeatmap", input_size=(64, 64), heatmap_size=(16, 16), sigma=2
            ),
        )
        | (head or {}),
        test_cfg=dict(flip_test=True, flip_mode="heatmap", shift_heatmap=True),
        **kwargs,
    )


def build(num_keypoints: int = 16, **kwargs):
    """A ``DomainAdaptiveTopdown`` with the small backbone, in training mode."""
    kwargs.setdefault("type", "DomainAdaptiveTopdown")
    model = MODELS.build(model_config(num_keypoints, **kwargs))
    model.init_weights()
    return model.train()


def batch(num_keypoints: int = 16, **counts: int) -> tuple[Tensor, list]:
    """Random images (B, 3, 64, 64) and their samples, for counts by domain."""
    samples = []
    for domain, count in counts.items():
        for _ in range(count):
            sample = PoseDataSample(metainfo=dict(domain=domain))
            if domain != "target_unlabeled":
                sample.gt_fields = PixelData(heatmaps=torch.rand(num_keypoints, 16, 16))
                sample.gt_instance_labels = InstanceData(
                    keypoint_weights=torch.randint(0, 2, (1, num_keypoints)).float()
                )
            samples.append(sample)
    return torch.randn(len(samples), 3, 64, 64), samples


def mark_parts(samples: list) -> None:
    """Give unlabeled target samples the labels of the halves of the image."""
    left = [[1 / 32, 0, 0], [0, 1 / 64, 0]]
    right = [[1 / 32, 0, -1], [0, 1 / 64, 0]]
    for index, sample in enumerate(samples):
        if sample.domain == "target_unlabeled":
            joint = torch.arange(16)
            shown = torch.stack([joint % (2 + index) == 0, joint % 3 == 0])
            sample.gt_instance_labels = InstanceData(
                part_labels=shown.float(),
                part_weights=torch.ones(2, 16),
                part_regions=torch.tensor([left, right]),
            )


def domain_batch(channels: int = 8, size: int = 4, **counts: int) -> DomainBatch:
    """Random images with random features and heatmaps, as an adaptation sees them."""
    images, samples = batch(**counts)
    features = torch.randn(len(samples), channels, size, size, requires_grad=True)
    heatmaps = torch.rand(len(samples), 16, 16, 16, requires_grad=True)
    return DomainBatch(samples, images, dict(head=features), maps=dict(xy=heatmaps))
