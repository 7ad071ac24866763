"""Pseudo-labels of the target domain: one stage of self-training."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path

import numpy as np
import torch
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmengine.device import get_device
from mmengine.registry import init_default_scope
from mmpose.apis import init_model
from mmpose.registry import DATASETS, MODELS
from mmpose.structures import PoseDataSample
from torch import Tensor, nn
from torch.utils.data import DataLoader, Subset

from ..datasets import PseudoLabels
from ..datasets.pseudo_labels import checkpoint_hash, people_hash
from ..models.heads import head_outputs
from ..models.layers import Pixels, swap_joints, warp_points
from ..models.pose_estimators import DomainAdaptiveTopdown
from ..seeding import seed_all
from ..structures import TARGET_UNLABELED, map_tensors

#: What the score of a joint can be; see :func:`pseudo_label`.
SCORES = ("peak", "agreement")


@torch.no_grad()
def pseudo_label(
    cfg: Config,
    checkpoint: str | Path,
    share: float = 1.0,
    views: Sequence[Mapping] = (),
    score: str = "peak",
    seed: int = 0,
    batch_size: int = 32,
    num_workers: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> PseudoLabels:
    """Label the unlabeled target people of a config with one of its checkpoints.

    The deployed network sees every person in the test pipeline, and in ``views`` of
    that crop. The points of a view are carried back by its matrix, which is exact for
    every similarity (mirror, rotation, scale, translation), and averaged with those of
    the crop (Zhang et al., "Monocular 3D Human Pose Estimation with Domain Feature
    Alignment and Self Training", Sec. 3.1; for soft-argmax, the mean of the points is
    the point of the mean map).

    Args:
        cfg (Config): The config of the run. Target people whose labels it trains with
            get no pseudo-labels.
        checkpoint (str | Path): A checkpoint of the run.
        share (float): The share of people to keep, those with the highest scores, in
            (0, 1]. Defaults to 1.0.
        views (Sequence[Mapping]): Configs of further views, such as
            ``dict(type='RandomView', flip_prob=1.0)``. Defaults to (): only the crop.
        score (str): Confidence of a joint: ``'peak'``, the mean of what the head gives
            in each view, or ``'agreement'``, ``1 / (1 + d)`` with the root mean square
            distance d in input pixels of the views' points from their mean; needs
            views. The score of a person is the mean over its joints. Defaults to
            ``'peak'``.
        seed (int): Random seed of the views. Defaults to 0.
        batch_size (int): Number of images in a batch. Defaults to 32.
        num_workers (int): Processes that load images. Defaults to 0: this one.
        progress (Callable[[int, int], None], optional): Called with the completed and
            the total number of people. Defaults to None.

    Returns:
        PseudoLabels: The pseudo-labels, best person first.

    Raises:
        ValueError: If the config has no unlabeled target, or the score is unknown or
            needs views.
    """
    if score not in SCORES:
        raise ValueError(f"score='{score}' is not one of {SCORES}")
    if score == "agreement" and not views:
        raise ValueError("score='agreement' compares views, but there are none")
    init_default_scope(cfg.get("default_scope") or "mmpose")
    with redirect_stdout(StringIO()):  # COCO and MMEngine print what they load
        dataset, people = _people(cfg)
        model = init_model(Config(cfg.to_dict()), str(checkpoint), device=get_device())
    labeler = _Labeler(model, [MODELS.build(dict(view)) for view in views], score)
    loader = DataLoader(
        people, batch_size, num_workers=num_workers, collate_fn=pseudo_collate
    )
    rows: list[tuple] = []
    for index, batch in enumerate(loader):
        seed_all(seed, index)
        rows += labeler(batch)
        if progress is not None:
            progress(len(rows), len(people))
    made_from = dict(people=people_hash(dataset.datasets[-1]))
    model_hash = checkpoint_hash(checkpoint)
    if model_hash is not None:
        made_from["checkpoint"] = model_hash
    ids, keypoints, confidence = zip(*rows, strict=True)
    names = dataset.metainfo["keypoint_id2name"]
    labels = PseudoLabels(
        joints=tuple(names[i] for i in range(len(names))),
        ids=ids,
        keypoints=np.asarray(keypoints, float),
        confidence=np.asarray(confidence, float),
        scores=np.mean(confidence, axis=1, dtype=float),
        made_from=made_from,
    )
    return labels.most_confident(share)


def _people(cfg: Config) -> tuple:
    """Build the target without labels, in the test pipeline."""
    training = cfg.train_dataloader.dataset
    if not training.get("target"):
        raise ValueError(
            f"{cfg.filename} trains without a target, so there is nobody to label; use "
            "the config of an adapted row"
        )
    dataset = DATASETS.build(
        dict(
            type=training.type,
            joints=training.joints,
            target=training.target,
            labeled_target=training.get("labeled_target"),
            pipeline=cfg.test_dataloader.dataset.pipeline,
        )
    )
    if TARGET_UNLABELED not in dataset.domains:
        raise ValueError(f"{cfg.filename} trains with the labels of all target people")
    start = sum(dataset.lens[: dataset.domains.index(TARGET_UNLABELED)])
    return dataset, Subset(dataset, range(start, len(dataset)))


class _Labeler:
    """Labels batches: yields the id, the points (K, D), and the confidence (K,)."""

    def __init__(
        self, model: DomainAdaptiveTopdown, views: list[nn.Module], score: str
    ) -> None:
        self.model, self.views, self.score = model, views, score
        if views:
            assert model.dataset_meta is not None
            self.flip_indices: Sequence[int] = model.dataset_meta["flip_indices"]
            self.network = model._predicting()  # refuses a teacher that was never set
            outputs = head_outputs(self.network.head)
            if outputs is None:
                head = type(self.network.head).__name__
                raise ValueError(f"views need points, which {head} does not provide")
            self.outputs = outputs
            self.pixels = Pixels(model.data_preprocessor).to(next(model.parameters()))

    def __call__(self, batch: dict) -> Iterator[tuple]:
        if not self.views:
            for sample in self.model.test_step(batch):
                found = sample.pred_instances
                yield _identity(sample), found.keypoints[0], found.keypoint_scores[0]
            return
        data = self.model.data_preprocessor(batch, False)
        points, confidence = self._ensemble(data["inputs"])
        points[..., :2] *= points.new_tensor(self.outputs.decoded)
        for sample, keypoints, scores in zip(
            data["data_samples"], points, confidence, strict=True
        ):
            yield (
                _identity(sample),
                to_image(keypoints.cpu().numpy(), sample.metainfo),
                scores.cpu().numpy(),
            )

    def _ensemble(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Points (B, K, D) in input pixels and confidence (B, K), over all views."""
        points, confidence = [], []
        pixels = self.pixels.to_rgb(images)
        found, sure = self._points(images)
        points.append(found)
        confidence.append(sure)
        for make_view in self.views:
            view = make_view(pixels)
            found, sure = self._points(self.pixels.from_rgb(view.images).to(images))
            flip = view.flipped, self.flip_indices
            back = torch.linalg.inv(view.matrices.float())
            points.append(swap_joints(warp_points(found, back), *flip))
            confidence.append(swap_joints(sure, *flip))
        every = torch.stack(points)
        mean = every.mean(0)
        if self.score == "peak":
            return mean, torch.stack(confidence).mean(0)
        distance = (every - mean).square().sum(-1).mean(0).sqrt()
        return mean, 1 / (1 + distance)

    def _points(self, images: Tensor) -> tuple[Tensor, Tensor]:
        output = map_tensors(lambda x: x.float(), self.network(images))
        points, confidence = self.outputs.points(output)
        scale = points.new_tensor(self.outputs.scale)
        return torch.cat([points[..., :2] * scale, points[..., 2:]], -1), confidence


def _identity(sample: PoseDataSample) -> int:
    return int(sample.metainfo["id"])


def to_image(keypoints: np.ndarray, crop: Mapping) -> np.ndarray:
    """Convert points from input pixels to image pixels, as MMPose's estimators do.

    Args:
        keypoints (np.ndarray): Points (K, 2), or (K, 3) with a depth in input pixels.
        crop (Mapping): ``input_size``, ``input_scale`` and ``input_center`` of the
            crop.

    Returns:
        np.ndarray: Points of the same shape, in image pixels.
    """
    scale = np.asarray(crop["input_scale"])
    factor = scale / np.asarray(crop["input_size"])
    plane = keypoints[:, :2] * factor + crop["input_center"] - 0.5 * scale
    return np.concatenate([plane, keypoints[:, 2:] * factor[0]], axis=1)
