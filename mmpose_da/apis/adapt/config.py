"""The training config of a job, complete, so that ``tools/train.py`` repeats it."""

from __future__ import annotations

import math
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmpose.registry import DATASETS, MODELS

from ...datasets import MixedDomainDataset
from ...structures import joint_metainfo
from ..publish import plain_metainfo
from .methods import METHODS, adaptations, base_config, method_of
from .model import ADAPTIVE, SourceModel

#: Images of a domain in a batch, on a GPU and on a CPU.
BATCH = dict(cuda=32, cpu=8)
#: How often each target person is seen, and the limits of iterations on a device.
PASSES = 20
FEWEST_ITERATIONS = 300
MOST_ITERATIONS = dict(cuda=10000, cpu=2000)
LEARNING_RATE = 1e-4
#: Losses that are means over the pixels of a heatmap.
HEATMAP_LOSSES = ("KeypointMSELoss", "KeypointOHKMMSELoss")
#: Number of log lines and checkpoints of a run.
LOG_LINES, CHECKPOINTS = 50, 5


@dataclass(frozen=True)
class Source:
    """Labeled source images.

    Attributes:
        ann_file (str): The annotation file.
        images (str): The image folder.
        joints (str, optional): The type of an MMPose dataset, which also says the
            format of the file, or a file with a joint definition (``dataset_info``).
            Defaults to None: COCO format, with the joints of the model.
        joint_map (dict, optional): Joints whose names differ; see
            :func:`~mmpose_da.structures.joint_mapping`. Defaults to None.
    """

    ann_file: str
    images: str
    joints: str | None = None
    joint_map: dict | None = None

    def dataset(self, joints: str | dict) -> dict:
        """Return the dataset config.

        Args:
            joints (str | dict): The joints of the model.

        Raises:
            FileNotFoundError: If a file or the folder does not exist.
            ValueError: If ``joints`` is not known.
        """
        for key, path in (("source", self.ann_file), ("source images", self.images)):
            if not Path(path).exists():
                raise FileNotFoundError(f"{key}: there is no '{path}'")
        files = dict(
            ann_file=str(Path(self.ann_file).resolve()),
            data_prefix=dict(img=str(Path(self.images).resolve())),
        )
        if self.joint_map:
            files["joint_map"] = self.joint_map
        if self.joints is None:
            return dict(type="CocoDataset", metainfo=plain_metainfo(joints), **files)
        if Path(self.joints).is_file():
            given = dict(from_file=str(Path(self.joints).resolve()))
            joint_metainfo(given)
            return dict(type="CocoDataset", metainfo=given, **files)
        if DATASETS.get(self.joints) is None:
            raise ValueError(
                f"source joints '{self.joints}' are neither the type of a dataset of "
                "MMPose nor a file with a joint definition"
            )
        return dict(type=self.joints, **files)


@dataclass(frozen=True)
class Plan:
    """What a job decides once and then keeps.

    Attributes:
        iterations (int): Number of training iterations.
        source_batch (int): Source images in a batch; 0 without a source.
        target_batch (int): Target images in a batch.
        learning_rate (float): The learning rate.
        workers (int): Processes that load images.
    """

    iterations: int
    source_batch: int
    target_batch: int
    learning_rate: float
    workers: int


def default_iterations(people: int, batch: int, device: str) -> int:
    """Return the number of iterations for an amount of target people.

    Each person is seen 20 times, within limits that depend on the device.
    """
    most = MOST_ITERATIONS.get(device, MOST_ITERATIONS["cuda"])
    return min(max(math.ceil(PASSES * people / batch), FEWEST_ITERATIONS), most)


def target_dataset(
    ann_file: str | Path, images: str | Path, joints: str | dict
) -> dict:
    """Return the dataset config of people that were found."""
    return dict(
        type="CocoDataset",
        metainfo=plain_metainfo(joints),
        ann_file=str(Path(ann_file).resolve()),
        data_prefix=dict(img=str(Path(images).resolve())),
    )


def training_config(
    model: SourceModel,
    target: dict,
    source: dict | None,
    method: str,
    plan: Plan,
    network: str | None = None,
    seed: int = 0,
) -> Config:
    """Write down a training run in full.

    Args:
        model (SourceModel): The model to adapt.
        target (dict): The dataset config of the target.
        source (dict, optional): The same for the source. None: source-free.
        method (str): The method; see :data:`~mmpose_da.apis.adapt.methods.METHODS`.
        plan (Plan): The size of the run.
        network (str, optional): The network to deploy, ``'student'`` or ``'teacher'``.
            Defaults to None: the teacher, if there is one.
        seed (int): The random seed. Defaults to 0.

    Returns:
        Config: The config, without variables or base files.

    Raises:
        ValueError: If the method does not fit the model, or needs a source.
    """
    base = base_config()
    given = base.to_dict()
    trains = method_of(method, source is not None).trains
    estimator, teaches = _estimator(model, base, method, plan, source is not None)
    if network == "teacher" and not teaches:
        raise ValueError(f"the method '{method}' has no teacher to deploy")
    chosen = network or ("teacher" if teaches else "student")
    estimator.setdefault("test_cfg", {})["network"] = chosen
    counts = dict(target_unlabeled=plan.target_batch)
    if source is not None and trains:
        counts = dict(source=plan.source_batch, **counts)
    every = max(1, plan.iterations // CHECKPOINTS)
    runtime = {
        key: value
        for key, value in given.items()
        if key
        in ("custom_imports", "runner_type", "default_scope", "env_cfg", "visualizer")
    }
    checks = given["checks"]
    runtime["default_hooks"] = {
        **given["default_hooks"],
        **checks,
        "logger": dict(checks["logger"], interval=max(1, plan.iterations // LOG_LINES)),
        "checkpoint": dict(
            given["safe_checkpoints"],
            interval=every,
            by_epoch=False,
            max_keep_ckpts=2,
        ),
    }
    hooks = list(given["custom_hooks"])
    content = dict(
        **runtime,
        log_processor=dict(type="LogProcessor", window_size=50, by_epoch=False),
        custom_hooks=[*hooks, dict(type="EMATeacherHook")] if teaches else hooks,
        load_from=model.checkpoint,
        randomness=dict(seed=seed),
        model=estimator,
        train_dataloader=dict(
            batch_size=sum(counts.values()),
            num_workers=plan.workers,
            persistent_workers=plan.workers > 0,
            worker_init_fn=given["worker_init_fn"],
            sampler=dict(type="DefaultSampler", shuffle=True),
            batch_sampler=dict(
                type="MixedDomainBatchSampler", samples_per_domain=counts
            ),
            dataset=dict(
                type="MixedDomainDataset",
                joints=model.joints,
                source=source if trains else None,
                target=target,
                pipeline=model.train_pipeline if trains else model.test_pipeline,
            ),
        ),
        # The deployed model and the scores read it; there are no labels to validate on.
        val_pipeline=model.test_pipeline,
        train_cfg=dict(
            type="ExactIterBasedTrainLoop" if trains else "AdaBNLoop",
            max_iters=plan.iterations,
            val_interval=plan.iterations + 1,
        ),
        optim_wrapper=_optimizer(model.optim_wrapper, plan.learning_rate),
        param_scheduler=_schedule(plan) if trains else None,
    )
    return Config(deepcopy(content))


def _estimator(
    model: SourceModel, base: Config, method: str, plan: Plan, has_source: bool
) -> tuple[dict, bool]:
    """Return the adaptive model, and whether it has a teacher."""
    estimator = dict(deepcopy(model.model), type=ADAPTIVE, joints=model.joints)
    _scale_pose_loss(estimator["head"])
    head = MODELS.build(deepcopy(model.model["head"]))
    parts = adaptations(method, base, head, plan.iterations, has_source)
    estimator.update(METHODS[method].model, adaptations=parts)
    try:
        MODELS.build(deepcopy(estimator))
    except ValueError as error:
        raise ValueError(
            f"the method '{method}' does not fit this model: {error}"
        ) from error
    return estimator, "mean_teacher" in parts


def _scale_pose_loss(head: dict) -> None:
    """Turn a mean over pixels into the squared distance of heatmaps, in place.

    The weights of the methods are for this distance. A factor above 1 is taken to be
    there for the same reason.
    """
    size = head["decoder"].get("heatmap_size")
    given = head.get("loss") or []
    for loss in given if isinstance(given, list) else [given]:
        factor = loss.get("loss_weight", 1.0)
        if size is not None and loss["type"] in HEATMAP_LOSSES and factor <= 1:
            loss["loss_weight"] = factor * size[0] * size[1]


def _optimizer(wrapper: dict, learning_rate: float) -> dict:
    """Return the optimizer of a model, in float32, with another learning rate."""
    optimizer = dict(wrapper["optimizer"], lr=learning_rate)
    kept = {k: wrapper[k] for k in ("clip_grad", "paramwise_cfg") if k in wrapper}
    return dict(type="OptimWrapper", optimizer=optimizer, **kept)


def _schedule(plan: Plan) -> list[dict]:
    """Return a short warm-up, and a cosine to the end of the run."""
    warm_up = min(500, plan.iterations // 10)
    cosine = dict(
        type="CosineAnnealingLR",
        begin=0,
        eta_min=plan.learning_rate / 100,
        by_epoch=False,
    )
    if warm_up < 1:
        return [cosine]
    linear = dict(type="LinearLR", begin=0, end=warm_up, start_factor=0.01)
    return [dict(linear, by_epoch=False), cosine]


def count_people(joints: str | dict, domain: str, dataset: dict) -> int:
    """Return the number of people that training uses of a domain."""
    domains: dict[str, Any] = {domain: dataset}
    return len(MixedDomainDataset(joints, **domains))
