"""From an adapted checkpoint to a stock MMPose model."""

from __future__ import annotations

import re
from collections import OrderedDict
from contextlib import redirect_stdout
from copy import deepcopy
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.config import Config
from mmengine.runner import CheckpointLoader
from mmpose.apis import inference_topdown, init_model
from mmpose.registry import DATASETS
from torch import nn

from ..engine import AtomicLocalBackend
from ..structures import joint_metainfo
from .config import config_text

ADAPTATION_PREFIX = "adaptations."
#: Where a teacher's weights are; what follows are the keys of the stock estimator.
TEACHER_PREFIX = re.compile(r"adaptations\.[^.]+\.average\.module\.")
#: What is kept of ``meta``. The config is not: it describes the adaptive model, and
#: the weights are those of the stock one.
META_KEYS = (
    "dataset_meta",
    "epoch",
    "iter",
    "seed",
    "experiment_name",
    "mmengine_version",
)
#: What only a DomainAdaptiveTopdown has in its config.
ADAPTIVE_KEYS = (
    *("adaptations", "joints", "target_loss_weight", "checkpoint_joints", "frozen"),
    "train_cfg",
)
#: The stock dataset that stands in for one of this package, whose joints the deployed
#: config spells out. MMPose's inferencers choose a detector by it.
STOCK_DATASETS = dict(TigDogDataset="AnimalPoseDataset")


def publish(
    config: str | Path | Config,
    checkpoint: str | Path,
    target: str | Path,
    network: str | None = None,
) -> tuple[Path, Path]:
    """Write an adapted model as a stock MMPose model: weights, and a config for them.

    Neither needs this package. Before the files appear under their names, the weights
    are loaded with the config, strictly, and must predict what the adapted model
    predicts.

    Args:
        config (str | Path | Config): The config of the run.
        checkpoint (str | Path): A checkpoint of the run.
        target (str | Path): The file for the weights, such as ``adapted.pth``. The
            config is written beside it, as ``adapted.py``.
        network (str, optional): ``'student'`` or ``'teacher'``. Defaults to None: the
            one that ``model.test_cfg.network`` in the config names.

    Returns:
        tuple[Path, Path]: The weights and the config.

    Raises:
        FileNotFoundError: There is no file ``checkpoint``.
        FileExistsError: A file would be overwritten.
        ValueError: The checkpoint has no such network, the config is not that of an
            adaptive model, or the two don't fit.
        RuntimeError: The stock model would not predict the same.
    """
    target = Path(target)
    if target.suffix != ".pth":
        raise ValueError(f"the file for the weights must end in .pth, not '{target}'")
    for path in (target, target.with_suffix(".py")):
        if path.exists():
            raise FileExistsError(f"'{path}' exists; remove it, or give another name")
    if not Path(checkpoint).is_file():
        raise FileNotFoundError(f"there is no checkpoint '{checkpoint}'")
    cfg = deepcopy(config) if isinstance(config, Config) else Config.fromfile(config)
    if network is None:
        network = (cfg.model.get("test_cfg") or {}).get("network", "student")
    deployed = deploy_config(cfg)
    try:
        content = CheckpointLoader.load_checkpoint(str(checkpoint), "cpu", "silent")
        published = stock_checkpoint(content, network)
    except ValueError as error:
        raise ValueError(f"cannot publish '{checkpoint}': {error}") from error

    cfg.model.setdefault("test_cfg", {})["network"] = network
    cfg.load_from = None
    with redirect_stdout(StringIO()):  # MMEngine prints what it loads
        adapted = init_model(cfg, str(checkpoint), device="cpu")
    published["meta"].setdefault("dataset_meta", to_plain(adapted.dataset_meta))

    target.parent.mkdir(parents=True, exist_ok=True)
    weights = target.with_name(f".{target.stem}.tmp.pth")
    config_file = weights.with_suffix(".py")
    try:
        torch.save(published, weights)
        AtomicLocalBackend().put_text(config_text(deployed), config_file)
        _verify(adapted, config_file, weights)
        config_file.replace(target.with_suffix(".py"))
        weights.replace(target)
    finally:
        weights.unlink(missing_ok=True)
        config_file.unlink(missing_ok=True)
    return target, target.with_suffix(".py")


def deploy_config(cfg: Config) -> dict[str, Any]:
    """The config of the network that an adaptive model deploys, in stock MMPose.

    Args:
        cfg (Config): The config of the adaptive model.

    Returns:
        dict: The model, and what ``init_model`` and MMPose's inferencers read: the
        joints and the pipeline of test images.

    Raises:
        ValueError: The config is not that of a ``DomainAdaptiveTopdown`` with joints.
    """
    cfg = Config(cfg.to_dict())
    if cfg.model.get("type") != "DomainAdaptiveTopdown" or not cfg.model.get("joints"):
        raise ValueError(
            "the config is not that of an adapted model: `model` must be a "
            f"DomainAdaptiveTopdown with `joints`, but is a {cfg.model.get('type')}"
        )
    if not cfg.get("test_dataloader") and not cfg.get("val_pipeline"):
        raise ValueError(
            "the config has neither a test_dataloader nor a val_pipeline, so it does "
            "not say how an image is prepared for the network"
        )
    joints = cfg.model.joints
    model = {k: v for k, v in cfg.model.to_dict().items() if k not in ADAPTIVE_KEYS}
    model.update(type="TopdownPoseEstimator", metainfo=_plain_metainfo(joints))
    model["backbone"]["init_cfg"] = None
    model.get("test_cfg", {}).pop("network", None)

    dataset = DATASETS.get(joints) if isinstance(joints, str) else None
    if dataset is not None and dataset.__module__.startswith("mmpose."):
        dataset_type, metainfo = joints, {}
    else:
        dataset_type = STOCK_DATASETS.get(str(joints), "CocoDataset")
        metainfo = dict(metainfo=model["metainfo"])
    loader = cfg.get("test_dataloader")
    pipeline = loader.dataset.pipeline if loader else cfg.val_pipeline
    dataset = dict(
        type=dataset_type,
        data_mode="topdown",
        test_mode=True,
        pipeline=[transform.to_dict() for transform in pipeline],
        **metainfo,
    )
    return dict(
        default_scope="mmpose",
        model=model,
        dataset_type=dataset_type,
        data_mode="topdown",
        visualizer=dict(
            type="PoseLocalVisualizer",
            vis_backends=[dict(type="LocalVisBackend")],
            name="visualizer",
        ),
        # Where MMPose looks for the joints, if not in the weights, and the pipeline.
        train_dataloader=dict(dataset=dataset),
        test_dataloader=dict(dataset=dataset),
    )


def _plain_metainfo(joints: str | dict) -> dict:
    """A joint definition that needs no file but MMPose's own."""
    metainfo = joint_metainfo(joints)
    path = Path(metainfo.get("from_file", ""))
    return Config.fromfile(path).dataset_info.to_dict() if path.is_file() else metainfo


def stock_checkpoint(checkpoint: dict[str, Any], network: str) -> dict[str, Any]:
    """Keep of an adapted checkpoint what the stock estimator needs.

    Args:
        checkpoint (dict): A checkpoint of MMEngine's ``Runner``.
        network (str): ``'student'`` or ``'teacher'``.

    Returns:
        dict: ``state_dict`` without the weights of adaptations, and ``meta`` with
        :data:`META_KEYS`. The states of the optimizer, the schedulers and the
        message hub are left out.

    Raises:
        ValueError: The checkpoint has no ``state_dict``, or no weights of the network.
    """
    if "state_dict" not in checkpoint:
        raise ValueError(f"no `state_dict` in it, only {sorted(map(str, checkpoint))}")
    weights = checkpoint["state_dict"]
    if network == "teacher":
        teacher = [key for key in weights if TEACHER_PREFIX.match(key)]
        names = {TEACHER_PREFIX.sub("", key): key for key in teacher}
    else:
        names = {key: key for key in weights if not key.startswith(ADAPTATION_PREFIX)}
    if not names:
        raise ValueError(f"it has no weights of a {network}")
    meta = checkpoint.get("meta", {})
    return dict(
        meta={key: to_plain(meta[key]) for key in META_KEYS if key in meta},
        state_dict=OrderedDict((name, weights[key]) for name, key in names.items()),
    )


def to_plain(value: Any) -> Any:
    """Turn NumPy data into lists and numbers, at every depth.

    MMPose reads them alike, and only plain data can be loaded safely by an MMPose
    without this package.
    """
    if isinstance(value, (np.ndarray, np.generic)):
        return value.tolist()
    if isinstance(value, dict):
        return {to_plain(key): to_plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(to_plain(item) for item in value)
    return value


def _verify(adapted: nn.Module, config: Path, weights: Path) -> None:
    """Raise an error unless the stock model predicts what the adapted one does."""
    with redirect_stdout(StringIO()):
        stock = init_model(str(config), str(weights), device="cpu")
    content = CheckpointLoader.load_checkpoint(str(weights), "cpu", "silent")
    try:
        stock.load_state_dict(content["state_dict"], strict=True)
    except RuntimeError as error:
        raise ValueError(
            f"the weights don't fit the config of the run, stripped: {error}"
        ) from error

    width, height = stock.cfg.model.head.decoder.input_size
    shape = 2 * height, 2 * width, 3
    image = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    ours, theirs = (
        inference_topdown(model, image)[0].pred_instances for model in (adapted, stock)
    )
    for name in ("keypoints", "keypoint_scores"):
        difference = np.abs(ours[name] - theirs[name]).max()
        if not difference <= 1e-3:
            raise RuntimeError(
                "the stock model does not predict what the adapted one does: "
                f"{name} differ by up to {difference:.3g}"
            )
