"""What a published model says about itself, and the people it is verified on."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.config import Config
from mmengine.logging import print_log
from mmpose.registry import DATASETS

from ..structures import joint_definition
from ..version import __version__
from .quiet import quiet

#: Number of people on whom the published model is compared with the adapted one.
SAMPLES = 8


def adaptation_record(cfg: Config, network: str, meta: dict) -> dict[str, Any]:
    """Say from what, on what, and how a model was adapted.

    Args:
        cfg (Config): The config of the run.
        network (str): ``'student'`` or ``'teacher'``.
        meta (dict): ``meta`` of the checkpoint.

    Returns:
        dict: ``by``, this package; ``start``, the checkpoint that the run started from;
        ``source`` and ``target``, the annotation files; ``labels``, what is used of the
        target besides boxes; ``adaptations``, by name, with their type and weight;
        ``network``, ``iterations``, and ``seed``.
    """
    training = _plain_dict((cfg.get("train_dataloader") or {}).get("dataset"))
    target = training.get("target") or {}
    labels = {
        key: training[key]
        for key in ("labeled_target", "pseudo_target")
        if training.get(key)
    }
    if target.get("labels"):
        labels["labels"] = target["labels"]
    adaptations = _plain_dict(cfg.model.get("adaptations"))
    return dict(
        by=f"MMPose-DA {__version__}",
        start=cfg.get("load_from"),
        source=_ann_files(training.get("source")),
        target=_ann_files(training.get("target")),
        labels=labels,
        adaptations={
            name: dict(type=str(one["type"]), weight=one.get("weight", 1.0))
            for name, one in adaptations.items()
        },
        network=network,
        iterations=meta.get("iter"),
        seed=meta.get("seed"),
    )


def _plain_dict(value: Any) -> dict:
    return Config(dict(value=value or {})).to_dict()["value"]


def _ann_files(domain: dict | Sequence[dict] | None) -> list[str]:
    datasets = [domain] if isinstance(domain, dict) else list(domain or ())
    return [
        str(Path(one.get("data_root") or "", one.get("ann_file") or ""))
        for one in datasets
    ]


def sample_people(cfg: Config, count: int = SAMPLES) -> list[tuple[str, np.ndarray]]:
    """Return people of the target of a run, or of its source if it has no target.

    Args:
        cfg (Config): The config of the run.
        count (int): Their number. Defaults to :data:`SAMPLES`.

    Returns:
        list[tuple[str, np.ndarray]]: The image file of each and its box (1, 4), as
        corners. Empty if the run has no domains, or their files are not available.
    """
    training = _plain_dict((cfg.get("train_dataloader") or {}).get("dataset"))
    if training.get("type") != "MixedDomainDataset":
        return []
    domain = "target" if training.get("target") else "source"
    given = dict(joints=training["joints"], **{domain: training[domain]})
    try:
        with quiet():
            dataset = DATASETS.build(dict(type="MixedDomainDataset", **given))
    except (OSError, ValueError) as error:
        print_log(
            f"the {domain} is not available to verify the published model on, so it is "
            f"verified on random images: {error}",
            "current",
            logging.WARNING,
        )
        return []
    places = np.linspace(0, len(dataset) - 1, min(count, len(dataset))).round()
    people = [dataset.get_data_info(int(index)) for index in places]
    files = [(info["img_path"], info["bbox"]) for info in people]
    return [(path, box) for path, box in files if Path(path).is_file()]


def onnx_metadata(deployed: dict[str, Any]) -> dict[str, Any]:
    """Return what an ONNX file says about its input, output, and origin.

    Args:
        deployed (dict): The content of the published config.

    Returns:
        dict: ``data_preprocessor`` (the normalization), ``codec`` (how the output is
        decoded, and the size of the input), ``joints``, and ``adaptation``.
    """
    model = deployed["model"]
    joints = joint_definition(model["metainfo"])["keypoint_id2name"]
    return dict(
        data_preprocessor=model.get("data_preprocessor"),
        codec=model["head"]["decoder"],
        joints=[joints[index] for index in range(len(joints))],
        adaptation=deployed["adaptation"],
    )
