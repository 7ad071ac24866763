"""The people of a training run: those of its target, without labels, and others."""

from __future__ import annotations

from typing import Any

import numpy as np
from mmengine.config import Config
from mmpose.registry import DATASETS

from ..structures import joint_definition, joint_mapping

MIXED = "MixedDomainDataset"


def training_data(cfg: Config) -> dict[str, Any]:
    """Return the config of the mixed domains that a run trains with.

    Raises:
        ValueError: If it trains with another dataset.
    """
    loader = cfg.to_dict().get("train_dataloader") or {}
    dataset = loader.get("dataset") or {}
    if dataset.get("type") != MIXED:
        raise ValueError(
            f"the run does not train with a {MIXED}, so it has no source or target"
        )
    return dataset


def prediction_pipeline(cfg: Config) -> list[dict]:
    """Return the transforms with which a config prepares images for prediction.

    Raises:
        ValueError: If it has none.
    """
    content = cfg.to_dict()
    for part in ("val", "test"):
        loader = content.get(f"{part}_dataloader") or {}
        pipeline = (loader.get("dataset") or {}).get("pipeline")
        if pipeline or content.get(f"{part}_pipeline"):
            return list(pipeline or content[f"{part}_pipeline"])
    raise ValueError(
        "the config has neither a val_dataloader nor a val_pipeline, so it does not "
        "define how images are prepared for the network"
    )


def people_of(cfg: Config, domain: str, count: int | None = None) -> dict[str, Any]:
    """Return a dataset config of people of a run, in the pipeline for prediction.

    Args:
        cfg (Config): The config of the run.
        domain (str): ``'target'``, whose people have no labels here, or ``'source'``.
        count (int, optional): The largest number of people, evenly spread. Applies to
            one dataset, not to a list of sources. Defaults to None: all.

    Returns:
        dict: Config of a :class:`~mmpose_da.datasets.MixedDomainDataset`.

    Raises:
        ValueError: If the run has no such domain.
        FileNotFoundError: If a file of the domain does not exist.
    """
    training = training_data(cfg)
    given = training.get(domain)
    if not given:
        raise ValueError(f"the run has no {domain}")
    if count is not None and isinstance(given, dict):
        alone = dict(type=MIXED, joints=training["joints"], **{domain: given})
        total = len(DATASETS.build(alone))
        if total > count:
            given = dict(given, indices=spread(total, count))
    return dict(
        type=MIXED,
        joints=training["joints"],
        pipeline=prediction_pipeline(cfg),
        **{domain: given},
    )


def spread(total: int, count: int) -> list[int]:
    """Return ``count`` of ``total`` indices, evenly spread; all if there are fewer."""
    count = min(total, count)
    return (np.arange(count) * total // max(count, 1)).tolist()


def taught_joints(cfg: Config) -> set[str]:
    """Return the joints of a run that its source has, or all without a source."""
    training = training_data(cfg)
    wanted = joint_definition(training["joints"])
    names = wanted["keypoint_id2name"]
    given = training.get("source")
    if not given:
        return set(names.values())
    taught = set()
    for source in [given] if isinstance(given, dict) else given:
        definition = joint_definition(source.get("metainfo") or source["type"])
        mapping = joint_mapping(definition, wanted, source.get("joint_map"))
        taught |= {names[index] for _, index in mapping}
    return taught
