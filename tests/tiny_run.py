"""A whole run in miniature: config of a Runner over the small domains and model."""

from __future__ import annotations

from pathlib import Path

from mmengine.config import Config
from tiny_domains import TRAIN_PIPELINE, VAL_PIPELINE
from tiny_domains_3d import PIPELINE as PIPELINE_3D
from tiny_domains_3d import VAL_PIPELINE as VAL_PIPELINE_3D
from tiny_domains_3d import head_config
from tiny_model import model_config

LIMBS = [
    f"{side}_{part}"
    for part in ("ankle", "knee", "hip", "wrist", "elbow", "shoulder")
    for side in ("right", "left")
]
METHOD = dict(
    cafa=dict(type="CAFA", weight=0.5),
    ihta=dict(type="IHTA", loss=dict(type="IHTALoss", threshold=0.5), weight=0.5),
    entropy=dict(type="EntropyMinimization", weight=0.01, rampup=dict(end=4)),
    mean_teacher=dict(
        type="MeanTeacher",
        momentum=0.9,
        student_view=dict(type="RandomView", rotation=20, flip_prob=0.5),
    ),
)
UDA = dict(source=2, target_unlabeled=2)
SSDA = dict(source=2, target_labeled=1, target_unlabeled=1)


def shorten(cfg: Config, **samples_per_domain: int) -> None:
    """Make a full-size config train for two epochs, on few images, without a download.

    It saves every epoch, and validates after the last one, with annotated boxes.
    """
    cfg.randomness = dict(seed=0, deterministic=True)
    cfg.model.backbone.init_cfg = None
    cfg.train_cfg.update(max_epochs=2, val_interval=2)
    cfg.default_hooks.checkpoint.interval = 1
    cfg.train_dataloader.batch_size = sum(samples_per_domain.values())
    cfg.train_dataloader.batch_sampler.samples_per_domain = samples_per_domain
    cfg.val_dataloader.dataset.update(bbox_file="", indices=4)
    for loader in (cfg.train_dataloader, cfg.val_dataloader):
        loader.update(num_workers=0, persistent_workers=False)
    cfg.test_dataloader = cfg.test_evaluator = cfg.test_cfg = None


def run_config(
    work_dir: Path,
    source: dict,
    target: dict,
    samples_per_domain: dict,
    labeled_target: dict | None = None,
    max_epochs: int = 2,
    num_workers: int = 0,
) -> Config:
    """UDA or SSDA from COCO-format people to MPII-format people, evaluated on these."""
    adaptations = dict(METHOD)
    if labeled_target:
        adaptations["isa"] = dict(type="ISA", weight=0.5)
    headbox_file = str(Path(target["ann_file"]).parent / "headboxes.mat")
    val_dataset = dict(
        target, headbox_file=headbox_file, test_mode=True, pipeline=VAL_PIPELINE
    )
    loader = dict(
        num_workers=num_workers,
        persistent_workers=num_workers > 0,
        worker_init_fn=dict(type="end_with_parent"),
    )
    return Config(
        dict(
            default_scope="mmpose",
            custom_imports=dict(imports=["mmpose_da"]),
            custom_hooks=[dict(type="EMATeacherHook")],
            work_dir=str(work_dir),
            randomness=dict(seed=0, deterministic=True),
            model=model_config(
                type="DomainAdaptiveTopdown",
                joints="MpiiDataset",
                adaptations=adaptations,
            ),
            train_dataloader=dict(
                batch_size=4,
                sampler=dict(type="DefaultSampler", shuffle=True),
                batch_sampler=dict(
                    type="MixedDomainBatchSampler",
                    samples_per_domain=samples_per_domain,
                ),
                dataset=dict(
                    type="MixedDomainDataset",
                    joints="MpiiDataset",
                    source=source,
                    target=target,
                    labeled_target=labeled_target,
                    pipeline=TRAIN_PIPELINE,
                ),
                **loader,
            ),
            val_dataloader=dict(
                batch_size=4,
                sampler=dict(type="DefaultSampler", shuffle=False, round_up=False),
                dataset=val_dataset,
                **loader,
            ),
            test_dataloader=dict(
                batch_size=4,
                sampler=dict(type="DefaultSampler", shuffle=False, round_up=False),
                dataset=val_dataset,
                **loader,
            ),
            val_evaluator=dict(type="SharedJointsMpiiPCK", joints=LIMBS),
            test_evaluator=dict(type="SharedJointsMpiiPCK", joints=LIMBS),
            train_cfg=dict(
                type="ExactEpochBasedTrainLoop", max_epochs=max_epochs, val_interval=1
            ),
            val_cfg=dict(),
            test_cfg=dict(),
            optim_wrapper=dict(optimizer=dict(type="Adam", lr=1e-3)),
            default_hooks=dict(
                logger=dict(type="LoggerHook", interval=1),
                checkpoint=dict(type="SafeCheckpointHook", interval=1),
                non_finite=dict(type="NonFiniteHook"),
                checkpoint_match=dict(type="CheckpointMatchHook"),
                visualization=dict(type="PoseVisualizationHook", enable=False),
            ),
            visualizer=dict(
                type="PoseLocalVisualizer", vis_backends=[dict(type="LocalVisBackend")]
            ),
        )
    )


def run_config_3d(
    work_dir: Path, source: dict, target: dict, counts: dict, **kwargs
) -> Config:
    """Domain feature alignment in 3D, with pseudo-labels of the target."""
    cfg = run_config(work_dir, source, target, counts, **kwargs)
    cfg.custom_hooks = []
    cfg.model.head = head_config()
    cfg.model.update(joints="Pose3dDataset", test_cfg=dict())
    cfg.model.adaptations = dict(dfa=dict(type="DomainFeatureAlignment"))
    cfg.train_dataloader.dataset.update(joints="Pose3dDataset", pipeline=PIPELINE_3D)
    for name in ("val", "test"):
        loader = cfg[f"{name}_dataloader"]
        loader.dataset = dict(target, test_mode=True, pipeline=VAL_PIPELINE_3D)
        cfg[f"{name}_evaluator"] = dict(type="CameraMPJPE")
    return cfg
