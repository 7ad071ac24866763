"""Pseudo-labels of the target domain: one stage of self-training."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path

import numpy as np
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmengine.device import get_device
from mmpose.apis import init_model
from mmpose.registry import DATASETS
from torch.utils.data import DataLoader, Subset

from ..datasets import PseudoLabels
from ..structures import TARGET_UNLABELED


def pseudo_label(
    cfg: Config,
    checkpoint: str | Path,
    share: float = 1.0,
    batch_size: int = 32,
    num_workers: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> PseudoLabels:
    """Label the unlabeled target people of a config with one of its checkpoints.

    The deployed network predicts in the test pipeline. The confidence of a joint is its
    keypoint score, and the score of a person is the mean over its joints.

    Args:
        cfg (Config): The config of the run. Target people whose labels it trains with
            get no pseudo-labels.
        checkpoint (str | Path): A checkpoint of the run.
        share (float): The share of people to keep, those with the highest scores, in
            (0, 1]. Defaults to 1.0.
        batch_size (int): Number of images in a batch. Defaults to 32.
        num_workers (int): Processes that load images. Defaults to 0: this one.
        progress (Callable[[int, int], None], optional): Called with the completed and
            the total number of people. Defaults to None.

    Returns:
        PseudoLabels: The pseudo-labels, best person first.

    Raises:
        ValueError: If the config has no unlabeled target.
    """
    training = cfg.train_dataloader.dataset
    if not training.get("target"):
        raise ValueError(
            f"{cfg.filename} trains without a target, so there is nobody to label; use "
            "the config of an adapted row"
        )
    with redirect_stdout(StringIO()):  # COCO's and MMEngine's words on what they load
        dataset = DATASETS.build(
            dict(
                type=training.type,
                joints=training.joints,
                target=training.target,
                labeled_target=training.get("labeled_target"),
                pipeline=cfg.test_dataloader.dataset.pipeline,
            )
        )
        model = init_model(Config(cfg.to_dict()), str(checkpoint), device=get_device())
    if TARGET_UNLABELED not in dataset.domains:
        raise ValueError(f"{cfg.filename} trains with the labels of all target people")
    start = sum(dataset.lens[: dataset.domains.index(TARGET_UNLABELED)])
    people = Subset(dataset, range(start, len(dataset)))
    loader = DataLoader(
        people, batch_size, num_workers=num_workers, collate_fn=pseudo_collate
    )
    ids, keypoints, confidence = [], [], []
    for batch in loader:
        for sample in model.test_step(batch):
            ids.append(sample.metainfo["id"])
            keypoints.append(sample.pred_instances.keypoints[0])
            confidence.append(sample.pred_instances.keypoint_scores[0])
        if progress is not None:
            progress(len(ids), len(people))
    names = dataset.metainfo["keypoint_id2name"]
    scores = np.asarray(confidence, float)
    labels = PseudoLabels(
        joints=tuple(names[i] for i in range(len(names))),
        ids=tuple(int(identity) for identity in ids),
        keypoints=np.asarray(keypoints, float),
        confidence=scores,
        scores=scores.mean(axis=1),
    )
    return labels.most_confident(share)
