"""The model that a job adapts: its config, checkpoint, joints, and pipelines."""

from __future__ import annotations

import importlib
import importlib.util
from contextlib import redirect_stdout
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.hub import get_config
from mmengine.infer.infer import BaseInferencer
from mmengine.logging import print_log
from mmengine.registry import init_default_scope
from mmengine.runner import CheckpointLoader
from mmpose.registry import MODELS

from ...structures import joint_metainfo
from ..publish import ADAPTIVE_KEYS, deploy_config
from ..training import start_from_scratch

#: Estimators that can be adapted.
STOCK, ADAPTIVE = "TopdownPoseEstimator", "DomainAdaptiveTopdown"
DEFAULT_OPTIMIZER = dict(type="OptimWrapper", optimizer=dict(type="Adam", lr=1e-4))
#: What a training pipeline does to a crop if the config has none: MMPose's usual
#: transforms of people.
AUGMENTATIONS = (
    dict(type="RandomFlip", direction="horizontal"),
    dict(type="RandomHalfBody"),
    dict(
        type="RandomBBoxTransform",
        shift_factor=0.0,
        scale_factor=(0.75, 1.25),
        rotate_factor=60,
    ),
)


@dataclass(frozen=True)
class SourceModel:
    """A trained pose estimator.

    Attributes:
        model (dict): The config of a ``TopdownPoseEstimator``, with nothing pretrained.
        checkpoint (str): Its weights, a file or a URL.
        joints (str | dict): The joints that it predicts; see
            :func:`~mmpose_da.structures.joint_metainfo`.
        train_pipeline (list[dict]): Transforms for training.
        test_pipeline (list[dict]): Transforms for prediction.
        optim_wrapper (dict): The optimizer that it was trained with.
    """

    model: dict
    checkpoint: str
    joints: str | dict
    train_pipeline: list[dict]
    test_pipeline: list[dict]
    optim_wrapper: dict


def load_model(name: str, checkpoint: str | None = None) -> SourceModel:
    """Load what describes a trained model.

    Args:
        name (str): A config file; a config of an installed package, such as
            ``'mmpose::body_2d_keypoint/...py'``; or the name or the alias of a model of
            MMPose, such as ``'rtmpose-m'``.
        checkpoint (str, optional): The weights. Defaults to None: those that MMPose's
            metafile has for the name.

    Returns:
        SourceModel: The model.

    Raises:
        ValueError: If there is no such model, it is not a top-down estimator, it needs
            a package that cannot be imported, or its checkpoint, joints, or pipelines
            are not known.
    """
    init_default_scope("mmpose")
    cfg, known = _find(name, checkpoint is None)
    checkpoint = checkpoint or known
    if checkpoint is None:
        raise ValueError(f"the model '{name}' needs a checkpoint; give its file or URL")
    if "://" not in checkpoint and not Path(checkpoint).is_file():
        raise FileNotFoundError(f"there is no checkpoint '{checkpoint}'")
    if "://" not in checkpoint:
        checkpoint = str(Path(checkpoint).resolve())
    kind = (cfg.get("model") or {}).get("type")
    if kind not in (STOCK, ADAPTIVE):
        raise ValueError(
            f"the model of '{name}' is a {kind}, but only a {STOCK} can be adapted"
        )
    _import_packages(cfg.model.to_dict(), name)
    joints = _joints(cfg, name)
    pipelines = _pipelines(cfg, name)
    if kind == ADAPTIVE:
        model = deploy_config(cfg)["model"]
    else:
        start_from_scratch(cfg)
        cfg.model.setdefault("data_preprocessor", cfg.get("preprocess_cfg"))
        model = cfg.model.to_dict()
    for key in (*ADAPTIVE_KEYS, "metainfo"):
        model.pop(key, None)
    optimizer = cfg.to_dict().get("optim_wrapper") or DEFAULT_OPTIMIZER
    return SourceModel(model, checkpoint, joints, *pipelines, optimizer)


def _find(name: str, with_checkpoint: bool) -> tuple[Config, str | None]:
    """Return the config of a name, and the checkpoint of its metafile, if any."""
    if "::" in name:
        package = name.partition("::")[0]
        if importlib.util.find_spec(package) is None:
            raise ValueError(f"'{name}': the package '{package}' is not installed")
        try:
            cfg = get_config(name, pretrained=with_checkpoint)
        except (AssertionError, OSError, ValueError) as error:
            raise ValueError(f"there is no config '{name}': {error}") from error
        return cfg, cfg.get("model_path")
    if Path(name).is_file():
        return Config.fromfile(name), None
    if name.endswith(".py"):
        raise FileNotFoundError(f"there is no config file '{name}'")
    folder = BaseInferencer._get_repo_or_mim_dir("mmpose")
    with redirect_stdout(StringIO()):  # a progress bar
        models = list(BaseInferencer._get_models_from_metafile(folder))
    for model in models:
        aliases = model.get("Alias", [])
        aliases = [aliases] if isinstance(aliases, str) else aliases
        if name.lower() in (alias.lower() for alias in (model["Name"], *aliases)):
            weights = model["Weights"]
            weights = weights[0] if isinstance(weights, list) else weights
            return Config.fromfile(Path(folder, model["Config"])), weights
    raise ValueError(
        f"'{name}' is neither a config file, nor a config of a package "
        "('mmpose::...'), nor the name of a model in MMPose's metafiles"
    )


def _import_packages(part: Any, name: str) -> None:
    """Import the packages of types such as ``mmpretrain.VisionTransformer``.

    MMEngine imports them as well, but says of any failure that there is no such type.
    """
    if isinstance(part, list):
        for one in part:
            _import_packages(one, name)
    if not isinstance(part, dict):
        return
    for one in part.values():
        _import_packages(one, name)
    kind = part.get("type")
    package, dot, _ = kind.partition(".") if isinstance(kind, str) else ("", "", "")
    if dot:
        try:
            importlib.import_module(package)
        except ImportError as error:
            raise ValueError(
                f"the model of '{name}' has a {kind}, but the package '{package}' "
                f"cannot be imported ({error}); install it: `pip install {package}`"
            ) from error


def _joints(cfg: Config, name: str) -> str | dict:
    """Return the joints that a model predicts."""
    model, loader = cfg.model.to_dict(), cfg.get("train_dataloader") or {}
    dataset = (loader.get("dataset") or Config()).to_dict()
    for joints in (
        model.get("joints"),
        model.get("metainfo"),
        dataset.get("metainfo"),
        dataset.get("type"),
    ):
        if joints:
            try:
                joint_metainfo(joints)
            except ValueError:
                continue
            return joints
    raise ValueError(
        f"the config '{name}' does not say which joints its model predicts: it needs "
        "`metainfo` in `model` or in `train_dataloader.dataset`"
    )


def _pipelines(cfg: Config, name: str) -> tuple[list[dict], list[dict]]:
    """Return the pipelines for training and for prediction."""
    content = cfg.to_dict()

    def of(part: str) -> list[dict]:
        loader = content.get(f"{part}_dataloader") or {}
        pipeline = (loader.get("dataset") or {}).get("pipeline")
        return list(pipeline or content.get(f"{part}_pipeline") or ())

    test = of("test") or of("val")
    if not test:
        raise ValueError(
            f"the config '{name}' has no pipeline of `test_dataloader`, so it does not "
            "say how images are prepared for the network"
        )
    train = of("train")
    if "GenerateTarget" not in [transform["type"] for transform in train]:
        train = _augmented(test, content["model"]["head"]["decoder"])
    if importlib.util.find_spec("albumentations") is None:
        kept = [t for t in train if t["type"] != "Albumentation"]
        if len(kept) < len(train):
            print_log(
                "training without the transform `Albumentation`: the package "
                "albumentations is not installed",
                "current",
            )
        train = kept
    return train, test


def _augmented(test: list[dict], codec: dict) -> list[dict]:
    """Return a pipeline for training that fits one for prediction."""
    pipeline: list[dict] = []
    for transform in test:
        if transform["type"] == "TopdownAffine":
            pipeline.extend(dict(one) for one in AUGMENTATIONS)
        if transform["type"] == "PackPoseInputs":
            pipeline.append(dict(type="GenerateTarget", encoder=codec))
        pipeline.append(transform)
    return pipeline


def check_weights(source: SourceModel) -> None:
    """Check that the checkpoint has all weights of the model.

    Raises:
        ValueError: If it is not a checkpoint, or weights are missing or have another
            shape.
    """
    model = MODELS.build(dict(source.model))
    try:
        content: Any = CheckpointLoader.load_checkpoint(
            source.checkpoint, "cpu", "silent"
        )
        weights = content.get("state_dict", content)
    except Exception as error:
        raise ValueError(
            f"'{source.checkpoint}' cannot be loaded as a checkpoint: {error}"
        ) from error
    expected = model.state_dict()
    wrong = [
        key
        for key, value in expected.items()
        if key not in weights or weights[key].shape != value.shape
    ]
    if wrong:
        raise ValueError(
            f"the checkpoint '{source.checkpoint}' does not match the model: "
            f"{len(wrong)} of {len(expected)} weights are missing or have another "
            f"shape, such as {wrong[:3]}"
        )
