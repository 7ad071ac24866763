"""Conversion of an adapted checkpoint to a stock MMPose model."""

from __future__ import annotations

import logging
import re
from collections import OrderedDict
from collections.abc import Sequence
from contextlib import redirect_stdout
from copy import deepcopy
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.config import Config
from mmengine.logging import print_log
from mmengine.runner import CheckpointLoader
from mmpose.apis import inference_topdown, init_model
from mmpose.registry import DATASETS, MODELS
from torch import Tensor, nn

from ..engine import AtomicLocalBackend
from ..models.pose_estimators.pose_network import PARTS
from ..structures import joint_metainfo
from .config import config_text
from .onnx_export import check_onnx, export_onnx
from .publish_record import adaptation_record, onnx_metadata, sample_people

ADAPTATION_PREFIX = "adaptations."
#: Prefix of a teacher's weights; the rest of each key is that of the stock estimator.
TEACHER_PREFIX = re.compile(r"adaptations\.[^.]+\.average\.module\.")
#: Keys of ``meta`` that are kept. The config is dropped: it describes the adaptive
#: model, but the weights are those of the stock model.
META_KEYS = (
    "dataset_meta",
    "epoch",
    "iter",
    "seed",
    "experiment_name",
    "mmengine_version",
)
#: Config keys that only a DomainAdaptiveTopdown has.
ADAPTIVE_KEYS = (
    *(
        "adaptations",
        "joints",
        "target_loss_weight",
        "pseudo_loss_weight",
        "part_loss_weight",
        "statistics",
        "checkpoint_joints",
        "frozen",
    ),
    "train_cfg",
)
#: Stock datasets that stand in for those of this package. The deployed config spells
#: out the joints. MMPose's inferencers choose a detector by the dataset type.
STOCK_DATASETS = dict(TigDogDataset="AnimalPoseDataset")


def publish(
    config: str | Path | Config,
    checkpoint: str | Path,
    target: str | Path,
    network: str | None = None,
    onnx: bool = False,
) -> tuple[Path, Path]:
    """Write an adapted model as a stock MMPose model: weights and a matching config.

    Neither needs this package, unless a part of the network belongs to it, such as the
    head for marginal heatmaps: then the config imports it, and a warning says so.
    Before the files appear under their final names, the weights are loaded with the
    config in strict mode and checked to give the same predictions as the adapted model
    on people of the target, or, if their images are not available, on random images.

    ``adaptation`` in the config and in the ``meta`` of the weights says from what, on
    what, and how the model was adapted; see
    :func:`~mmpose_da.apis.publish_record.adaptation_record`.

    Args:
        config (str | Path | Config): The config of the run.
        checkpoint (str | Path): A checkpoint of the run.
        target (str | Path): The weights file, such as ``adapted.pth``. The config is
            written next to it, as ``adapted.py``.
        network (str, optional): ``'student'`` or ``'teacher'``. Defaults to None: the
            network set by ``model.test_cfg.network`` in the config.
        onnx (bool): Also write the network as ``adapted.onnx``; see
            :func:`~mmpose_da.apis.onnx_export.export_onnx`. Defaults to False.

    Returns:
        tuple[Path, Path]: The weights file and the config file.

    Raises:
        FileNotFoundError: If ``checkpoint`` does not exist.
        FileExistsError: If a file would be overwritten.
        ValueError: If the checkpoint lacks the network, the config is not that of an
            adaptive model, or the two do not match.
        RuntimeError: If the stock model or its export would predict something else, or
            ``onnx`` is set and ONNX is not installed.
    """
    target = Path(target)
    if target.suffix != ".pth":
        raise ValueError(f"the weights file must end in .pth, but is '{target}'")
    suffixes = (".pth", ".py", ".onnx") if onnx else (".pth", ".py")
    for path in map(target.with_suffix, suffixes):
        if path.exists():
            raise FileExistsError(f"'{path}' exists; remove it or choose another name")
    if not Path(checkpoint).is_file():
        raise FileNotFoundError(f"the checkpoint '{checkpoint}' does not exist")
    if onnx:
        check_onnx()
    cfg = deepcopy(config) if isinstance(config, Config) else Config.fromfile(config)
    if network is None:
        network = (cfg.model.get("test_cfg") or {}).get("network", "student")
    deployed = deploy_config(cfg)
    try:
        content = CheckpointLoader.load_checkpoint(str(checkpoint), "cpu", "silent")
        published = stock_checkpoint(content, network)
    except ValueError as error:
        raise ValueError(f"cannot publish '{checkpoint}': {error}") from error
    people = sample_people(cfg)
    record = adaptation_record(cfg, network, published["meta"])
    record["verified_on"] = f"{len(people)} people of the target"
    if not people:
        record["verified_on"] = "random images"
    deployed["adaptation"] = published["meta"]["adaptation"] = record

    cfg.model.setdefault("test_cfg", {})["network"] = network
    cfg.load_from = None
    cfg.test_dataloader = deepcopy(deployed["test_dataloader"])
    with redirect_stdout(StringIO()):  # MMEngine prints what it loads
        adapted = init_model(cfg, str(checkpoint), device="cpu")
    published["meta"].setdefault("dataset_meta", to_plain(adapted.dataset_meta))

    target.parent.mkdir(parents=True, exist_ok=True)
    hidden = target.with_name(f".{target.stem}.tmp.pth")
    try:
        torch.save(published, hidden)
        text = config_text(deployed)
        AtomicLocalBackend().put_text(text, hidden.with_suffix(".py"))
        stock, crops = _verify(adapted, hidden.with_suffix(".py"), hidden, people)
        if onnx:
            export_onnx(
                stock, crops, hidden.with_suffix(".onnx"), onnx_metadata(deployed)
            )
        for suffix in reversed(suffixes):
            hidden.with_suffix(suffix).replace(target.with_suffix(suffix))
    finally:
        for suffix in suffixes:
            hidden.with_suffix(suffix).unlink(missing_ok=True)
    own = _own(deployed["model"])
    if own:
        print_log(
            f"{own} are part of this package, so the published model needs it: run "
            "`import mmpose_da` before MMPose",
            "current",
            logging.WARNING,
        )
    return target, target.with_suffix(".py")


def deploy_config(cfg: Config) -> dict[str, Any]:
    """Build the stock MMPose config of the network that an adaptive model deploys.

    Args:
        cfg (Config): The config of the adaptive model.

    Returns:
        dict: The model, and what ``init_model`` and MMPose's inferencers read: the
        joints and the test pipeline.

    Raises:
        ValueError: If the config is not that of a ``DomainAdaptiveTopdown`` with
            joints, or has no test pipeline.
    """
    cfg = Config(cfg.to_dict())
    if cfg.model.get("type") != "DomainAdaptiveTopdown" or not cfg.model.get("joints"):
        raise ValueError(
            "the config does not define an adapted model: `model` must be a "
            f"DomainAdaptiveTopdown with `joints`, but is a {cfg.model.get('type')}"
        )
    if not cfg.get("test_dataloader") and not cfg.get("val_pipeline"):
        raise ValueError(
            "the config has neither a test_dataloader nor a val_pipeline, so it does "
            "not define how images are prepared for the network"
        )
    joints = cfg.model.joints
    model = {k: v for k, v in cfg.model.to_dict().items() if k not in ADAPTIVE_KEYS}
    model.update(type="TopdownPoseEstimator", metainfo=plain_metainfo(joints))
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
        **(dict(custom_imports=dict(imports=["mmpose_da"])) if _own(model) else {}),
        model=model,
        dataset_type=dataset_type,
        data_mode="topdown",
        visualizer=dict(
            type="PoseLocalVisualizer",
            vis_backends=[dict(type="LocalVisBackend")],
            name="visualizer",
        ),
        # MMPose reads the pipeline here, and the joints if the weights lack them.
        train_dataloader=dict(dataset=dataset),
        test_dataloader=dict(dataset=dataset),
    )


def _own(model: dict) -> list[str]:
    """Return the parts of a network that this package has and stock MMPose lacks."""
    types = [(model.get(part) or {}).get("type") for part in PARTS]
    classes = [MODELS.get(kind) if isinstance(kind, str) else kind for kind in types]
    return [
        kind.__name__
        for kind in classes
        if kind is not None and kind.__module__.startswith("mmpose_da.")
    ]


def plain_metainfo(joints: str | dict) -> dict:
    """Return a joint definition that needs no files except those of MMPose."""
    metainfo = joint_metainfo(joints)
    path = Path(metainfo.get("from_file", ""))
    return Config.fromfile(path).dataset_info.to_dict() if path.is_file() else metainfo


def stock_checkpoint(checkpoint: dict[str, Any], network: str) -> dict[str, Any]:
    """Reduce an adapted checkpoint to what the stock estimator needs.

    Args:
        checkpoint (dict): A checkpoint of MMEngine's ``Runner``.
        network (str): ``'student'`` or ``'teacher'``.

    Returns:
        dict: ``state_dict`` without adaptation weights, and ``meta`` with
        :data:`META_KEYS`. The states of the optimizer, the schedulers, and the
        message hub are dropped.

    Raises:
        ValueError: If the checkpoint has no ``state_dict`` or no weights of the
            network.
    """
    if "state_dict" not in checkpoint:
        raise ValueError(f"it has no `state_dict`, only {sorted(map(str, checkpoint))}")
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
    """Convert NumPy data to lists and numbers, recursively.

    MMPose treats both alike, but without this package it can only load plain data
    safely.
    """
    if isinstance(value, (np.ndarray, np.generic)):
        return value.tolist()
    if isinstance(value, dict):
        return {to_plain(key): to_plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(to_plain(item) for item in value)
    return value


def _verify(
    adapted: nn.Module,
    config: Path,
    weights: Path,
    people: Sequence[tuple[str, np.ndarray]],
) -> tuple[nn.Module, Tensor]:
    """Raise an error unless the stock and the adapted model predict the same.

    Returns:
        tuple[nn.Module, Tensor]: The stock model, and the crops (B, 3, H, W) that it
        has seen.
    """
    with redirect_stdout(StringIO()):
        stock = init_model(str(config), str(weights), device="cpu")
    content = CheckpointLoader.load_checkpoint(str(weights), "cpu", "silent")
    try:
        stock.load_state_dict(content["state_dict"], strict=True)
    except RuntimeError as error:
        raise ValueError(
            f"the weights do not fit the stripped config of the run: {error}"
        ) from error
    crops: list[Tensor] = []
    handle = stock.backbone.register_forward_pre_hook(
        lambda module, inputs: crops.append(inputs[0])
    )
    samples: list[tuple] = [*people] or [(_random_image(stock), None)]
    for image, boxes in samples:
        ours, theirs = (
            inference_topdown(model, image, boxes)[0].pred_instances
            for model in (adapted, stock)
        )
        for name in ("keypoints", "keypoint_scores"):
            difference = np.abs(ours[name] - theirs[name]).max()
            if not difference <= 1e-3:
                raise RuntimeError(
                    "the stock model does not reproduce the adapted one: "
                    f"{name} differ by up to {difference:.3g}"
                )
    handle.remove()
    return stock, torch.cat(crops)


def _random_image(stock: Any) -> np.ndarray:
    """Return an image of twice the size of the network's input."""
    width, height = stock.head.decoder.input_size
    shape = 2 * height, 2 * width, 3
    return np.random.default_rng(0).integers(0, 256, shape, np.uint8)
