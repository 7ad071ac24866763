"""A new site in miniature: images, a labeled source, and small trained models."""

from __future__ import annotations

from pathlib import Path

import torch
from mmengine.config import Config
from mmpose.registry import MODELS
from tiny_domains import COCO_JOINTS, TRAIN_PIPELINE, VAL_PIPELINE, write_coco
from tiny_model import model_config

from mmpose_da.apis import config_text

SIMCC = dict(type="SimCCLabel", input_size=(64, 64), sigma=4.0, simcc_split_ratio=2.0)
HEADS = dict(
    heatmap=None,
    simcc=dict(
        type="SimCCHead",
        in_channels=64,
        out_channels=COCO_JOINTS,
        input_size=(64, 64),
        in_featuremap_size=(2, 2),
        simcc_split_ratio=2.0,
        deconv_out_channels=None,
        loss=dict(type="KLDiscretLoss", use_target_weight=True),
        decoder=SIMCC,
    ),
)


def write_model(folder: Path, head: str = "heatmap") -> tuple[Path, Path]:
    """Write the stock config of a tiny model with COCO's joints, and its weights.

    Args:
        folder (Path): The folder.
        head (str): ``'heatmap'`` or ``'simcc'``. Defaults to ``'heatmap'``.

    Returns:
        tuple[Path, Path]: The config and the checkpoint.
    """
    model = dict(model_config(COCO_JOINTS), type="TopdownPoseEstimator")
    train = TRAIN_PIPELINE
    if HEADS[head] is not None:
        model.update(head=HEADS[head], test_cfg=dict(flip_test=True))
        train = [
            dict(one, encoder=SIMCC) if one["type"] == "GenerateTarget" else one
            for one in train
        ]
    content = dict(
        default_scope="mmpose",
        model=model,
        optim_wrapper=dict(optimizer=dict(type="Adam", lr=1e-3)),
        train_dataloader=dict(dataset=dict(type="CocoDataset", pipeline=train)),
        test_dataloader=dict(dataset=dict(type="CocoDataset", pipeline=VAL_PIPELINE)),
    )
    folder.mkdir(parents=True, exist_ok=True)
    config = folder / f"{head}.py"
    config.write_text(config_text(content), encoding="utf-8")
    torch.manual_seed(0)
    network = MODELS.build(Config(content).model)
    network.init_weights()
    checkpoint = folder / f"{head}.pth"
    torch.save(dict(state_dict=network.state_dict(), meta={}), checkpoint)
    return config, checkpoint


def write_site(folder: Path) -> None:
    """Write ``model/heatmap.py``, its weights, ``source/``, ``site/``, and ``val/``."""
    write_model(folder / "model")
    write_coco(folder / "source", 6)
    write_coco(folder / "site", 8, seed=1)
    write_coco(folder / "val", 3, seed=2)
    (folder / "site/annotations.json").unlink()
