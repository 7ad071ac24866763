"""The models of a report, before and after adaptation, and what they predict."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from mmengine.config import Config
from mmengine.dataset import BaseDataset, pseudo_collate
from mmengine.device import get_device
from mmengine.registry import init_default_scope
from mmengine.runner import CheckpointLoader
from mmengine.structures import InstanceData
from mmpose.models.pose_estimators.base import BasePoseEstimator
from mmpose.registry import MODELS
from torch import Tensor

from ...models.necks import CAFANeck
from ...structures import labeled_points, tensors
from ..adapt.model import ADAPTIVE
from ..publish import ADAPTATION_PREFIX, deploy_config, stock_checkpoint

BATCH_SIZE = 32


def load_deployed(
    cfg: Config, checkpoint: str, network: str | None = None
) -> BasePoseEstimator:
    """Build the network that a run deploys, with the weights of a checkpoint.

    Args:
        cfg (Config): The config of the run, adaptive or not.
        checkpoint (str): A checkpoint of the run, one that it can start from, or a
            published one.
        network (str, optional): ``'student'`` or ``'teacher'``. Defaults to None: the
            one that the config deploys.

    Returns:
        BasePoseEstimator: The stock model, in evaluation mode.

    Raises:
        ValueError: If the checkpoint does not have all of its weights.
    """
    init_default_scope(cfg.get("default_scope") or "mmpose")
    if cfg.model.get("type") == ADAPTIVE:
        if network is None:
            network = (cfg.model.get("test_cfg") or {}).get("network", "student")
        model = deploy_config(cfg)["model"]
    else:
        model = cfg.model.to_dict()
    content = CheckpointLoader.load_checkpoint(str(checkpoint), "cpu", "silent")
    built = MODELS.build(model)
    try:
        weights = stock_checkpoint(content, network or "student")["state_dict"]
        missing = built.load_state_dict(weights, strict=False).missing_keys
        if missing:
            raise ValueError(f"it lacks {len(missing)} weights, such as {missing[:3]}")
    except (RuntimeError, ValueError) as error:
        raise ValueError(
            f"the checkpoint '{checkpoint}' does not match the model: {error}"
        ) from error
    return built.to(get_device()).eval()


@dataclass(frozen=True)
class Exchange:
    """The trained student, and the neck with which its domains exchange features.

    Attributes:
        student (BasePoseEstimator): The network, in evaluation mode.
        neck (CAFANeck): The neck.
    """

    student: BasePoseEstimator
    neck: CAFANeck

    @torch.no_grad()
    def attention(self, source: dict, target: dict) -> np.ndarray:
        """Return what each position of a source image attends to in a target image.

        The features are those of a prediction: normalized with running statistics, and
        of images that are not augmented.

        Args:
            source (dict): A sample of a pipeline for prediction.
            target (dict): Another one.

        Returns:
            np.ndarray: The weights (h, w, h', w'); see :meth:`CAFANeck.attention`.

        Raises:
            ValueError: If the features have no positions.
        """
        features = [self._features(person) for person in (source, target)]
        if features[0].dim() != 4:
            raise ValueError(
                "the features are pooled before the exchange, so there are no positions"
            )
        return self.neck.attention(*features)[0].cpu().numpy()

    def _features(self, person: dict) -> Tensor:
        data = pseudo_collate([copy.deepcopy(person)])
        inputs = self.student.data_preprocessor(data, training=False)["inputs"]
        *_, last = tensors(self.student.extract_feat(inputs))
        return last


def load_exchange(cfg: Config, checkpoint: str) -> Exchange | None:
    """Load the student and the neck of the adaptation ``CAFA``.

    Args:
        cfg (Config): The config of the run.
        checkpoint (str): A checkpoint of the run. A published one lacks the neck.

    Returns:
        Exchange | None: None if the run has no such adaptation.

    Raises:
        ValueError: If the checkpoint lacks its weights, or it has another neck.
    """
    model = cfg.model.to_dict()
    every = (model.get("adaptations") or {}).items()
    chosen = {name: one for name, one in every if one["type"] == "CAFA"}
    if not chosen:
        return None
    name = next(iter(chosen))
    test_cfg = dict(model.get("test_cfg") or {}, network="student")
    built = MODELS.build(dict(model, adaptations=chosen, test_cfg=test_cfg))
    neck = built.adaptations[name].neck
    if not isinstance(neck, CAFANeck):
        raise ValueError(f"model.adaptations.{name}: its neck has no attention to draw")
    content = CheckpointLoader.load_checkpoint(checkpoint, "cpu", "silent")
    prefix = f"{ADAPTATION_PREFIX}{name}."
    if not any(key.startswith(prefix) for key in content["state_dict"]):
        raise ValueError(
            f"the checkpoint '{checkpoint}' has no weights of the adaptation '{name}'; "
            "give a checkpoint of the run, not a published one"
        )
    built.load_state_dict(content["state_dict"], strict=False)
    return Exchange(built.to(get_device()).eval(), neck)


@dataclass(frozen=True)
class Predictions:
    """What models predict for n people.

    Attributes:
        keypoints (dict[str, np.ndarray]): Joints (n, K, 2) in pixels of the image, by
            title of the model.
        confidence (dict[str, np.ndarray]): Their confidence (n, K).
        sizes (np.ndarray): The longer side (n,) of the box of each person.
        truth (np.ndarray): The labels (n, K, 2); NaN where there are none.
    """

    keypoints: dict[str, np.ndarray]
    confidence: dict[str, np.ndarray]
    sizes: np.ndarray
    truth: np.ndarray

    def change(self, before: str, after: str, joints: Sequence[int]) -> np.ndarray:
        """Return how far the joints of each person moved on average (n,).

        It is in percent of the longer side of the box.
        """
        moved = self.keypoints[after] - self.keypoints[before]
        distance = np.linalg.norm(moved, axis=-1)[:, list(joints)]
        return 100 * distance.mean(axis=1) / self.sizes

    def errors(self, title: str) -> np.ndarray:
        """Return the distance (n, K) of predictions and labels.

        It is in percent of the longer side of the box; NaN where there is no label.
        """
        distance = np.linalg.norm(self.keypoints[title] - self.truth, axis=-1)
        return 100 * distance / self.sizes[:, None]


@torch.no_grad()
def predict(
    models: Mapping[str, BasePoseEstimator],
    dataset: BaseDataset,
    indices: Sequence[int],
    progress: Callable[[int, int], None] | None = None,
) -> Predictions:
    """Predict joints of people with each model.

    Args:
        models (Mapping[str, BasePoseEstimator]): Models by title.
        dataset (BaseDataset): A dataset with a pipeline for prediction.
        indices (Sequence[int]): The people.
        progress (Callable[[int, int], None], optional): Called with the completed and
            the total number of people. Defaults to None.

    Returns:
        Predictions: The predictions, in the order of ``indices``.

    Raises:
        ValueError: If there are no people.
    """
    if not len(indices):
        raise ValueError("there are no people to predict")
    keypoints: dict[str, list] = {title: [] for title in models}
    confidence: dict[str, list] = {title: [] for title in models}
    sizes, truth = [], []
    for start in range(0, len(indices), BATCH_SIZE):
        chosen = indices[start : start + BATCH_SIZE]
        people = [dataset[int(index)] for index in chosen]
        for title, model in models.items():
            # The models modify the samples they receive.
            data = pseudo_collate([copy.deepcopy(person) for person in people])
            for sample in model.test_step(data):
                found = sample.pred_instances
                keypoints[title].append(found.keypoints[0, :, :2])
                confidence[title].append(found.keypoint_scores[0])
        for person in people:
            given = person["data_samples"].gt_instances
            low, high = np.reshape(given.bboxes[0], (2, 2))
            sizes.append((high - low).max())
            truth.append(labels_of(given))
        if progress is not None:
            progress(len(sizes), len(indices))
    count = len(next(iter(keypoints.values()))[0])
    unknown = np.full((count, 2), np.nan)
    return Predictions(
        {title: np.stack(found) for title, found in keypoints.items()},
        {title: np.stack(found) for title, found in confidence.items()},
        np.array(sizes, float),
        np.stack([unknown if one is None else one for one in truth]),
    )


def labels_of(given: InstanceData) -> np.ndarray | None:
    """Return the labels (K, 2) of a person, NaN where there are none, or None.

    Args:
        given (InstanceData): ``gt_instances`` of the person's sample.
    """
    if "keypoints" not in given:
        return None
    return labeled_points(given.keypoints[0], np.asarray(given.keypoints_visible[0]))
