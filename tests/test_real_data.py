"""The domain pairs of the configs on real images; skipped where there are none."""

import json

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmpose.registry import DATASETS, METRICS, MODELS

from mmpose_da.apis.benchmark import load_row

PAIRS = ["coco2mpii_res50", "mpii2coco_res50", "studio2lspet"]


@pytest.fixture
def config(real_data, repo, monkeypatch):
    monkeypatch.setenv("MMPOSE_DA_DATA", str(real_data))

    def load(name: str) -> Config:
        if name != "studio2lspet":
            return Config.fromfile(repo / "configs/da" / f"{name}.py")
        # It has no configs of its own, but is a pair for those of the rendered domains.
        return load_row(
            repo / "configs/da/studio2street_res18.py",
            pair=repo / "configs/_base_/domains/studio2lspet.py",
        )

    return load


@pytest.mark.parametrize("name", PAIRS)
def test_both_domains_are_read(config, name):
    cfg = config(name)
    dataset = DATASETS.build(cfg.train_dataloader.dataset)
    assert dataset.domains == ["source", "target_unlabeled"]
    num_keypoints = cfg.model.head.out_channels
    width, height = cfg.codec.input_size
    for index in (0, dataset.lens[0] - 1, dataset.lens[0], len(dataset) - 1):
        data = dataset[index]
        assert data["inputs"].shape == (3, height, width)
        sample = data["data_samples"]
        if sample.domain == "source":
            labels = sample.gt_instance_labels.keypoint_weights
            assert labels.shape == (1, num_keypoints) and labels.sum() > 0
        else:
            assert "gt_fields" not in sample


def ground_truth_as_prediction(dataset, index, mapping):
    """A data sample whose prediction is its own annotation, in the model's joints.

    A joint without a label is predicted in the middle of the box: COCO ignores a person
    without labels only where the prediction is in the box.
    """
    sample = dataset[index]["data_samples"].to_dict()
    gt = sample["gt_instances"]
    middle = gt["bboxes"].reshape(2, 2).mean(0)
    keypoints = np.tile(middle, (1, len(mapping), 1))
    for ours, theirs in enumerate(mapping):
        if theirs is not None and gt["keypoints_visible"].reshape(-1)[theirs]:
            keypoints[0, ours] = gt["keypoints"][0, theirs]
    sample["pred_instances"] = dict(
        keypoints=keypoints, keypoint_scores=np.ones((1, len(mapping)))
    )
    return sample


@pytest.mark.parametrize(
    "name, metric, best",
    [
        ("coco2mpii_res50", "PCKh@0.1 (12 joints)", 100),
        ("mpii2coco_res50", "coco (12 joints)/AP", 1),
        ("studio2lspet", "PCK@0.1 (12 joints)", 100),
    ],
)
def test_ground_truth_scores_full_marks(config, name, metric, best):
    cfg = config(name)
    dataset = DATASETS.build(cfg.val_dataloader.dataset)
    model_joints = MODELS.build(cfg.model).metainfo["keypoint_id2name"]
    ids = dataset.metainfo["keypoint_name2id"]
    mapping = [ids.get(model_joints[i]) for i in range(len(model_joints))]
    evaluator = METRICS.build(cfg.val_evaluator)
    evaluator.dataset_meta = dataset.metainfo
    size = min(len(dataset), 200)
    if name.startswith("mpii2coco"):
        size = len(dataset)  # AP needs all
    for index in range(size):
        evaluator.process(None, [ground_truth_as_prediction(dataset, index, mapping)])
    assert evaluator.evaluate(size)[metric] == pytest.approx(best)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["coco2mpii_hrnet", "coco2mpii_hrnet_ssda"])
def test_full_size_step(config, name):
    """One step of the whole network on real images."""
    cfg = config(name)
    cfg.model.backbone.init_cfg = None
    model = MODELS.build(cfg.model).train()
    dataset = DATASETS.build(cfg.train_dataloader.dataset)
    starts = np.cumsum([0, *dataset.lens])[:-1]
    data = [dataset[int(index)] for index in (*starts, starts[-1] + 1)]
    batch = model.data_preprocessor(
        dict(
            inputs=[item["inputs"] for item in data],
            data_samples=[item["data_samples"] for item in data],
        ),
        training=True,
    )
    total, log = model.parse_losses(model.loss(**batch))
    total.backward()
    assert all(torch.isfinite(value).all() for value in log.values())
    assert model.backbone.conv1.weight.grad.abs().sum() > 0


def test_annotations_are_as_the_configs_expect(config, real_data):
    cfg = config("studio2lspet")
    content = json.loads((real_data / "lspet/annotations/lspet_val.json").read_text())
    names = content["categories"][0]["keypoints"]
    joints = MODELS.build(cfg.model).metainfo["keypoint_id2name"]
    assert [joints[i] for i in range(14)] == names
