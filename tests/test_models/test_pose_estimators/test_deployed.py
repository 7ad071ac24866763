"""Every entry point predicts with the deployed network, or refuses to predict."""

import logging

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.logging import MMLogger
from mmengine.runner import load_checkpoint
from mmpose.apis import MMPoseInferencer, inference_topdown, init_model
from mmpose.registry import MODELS
from tiny_model import batch
from tiny_run import UDA, run_config

REFUSAL = "test_cfg.network is 'teacher', but this teacher was never set"


@pytest.fixture
def cfg(tmp_path, coco, mpii):
    """An adaptive model that deploys its teacher."""
    cfg = run_config(tmp_path / "work", coco, mpii, UDA)
    cfg.model.test_cfg.network = "teacher"
    cfg.update(data_mode="topdown", dataset_type="MpiiDataset")
    return cfg


@pytest.fixture
def source(cfg, tmp_path):
    """The checkpoint of a source model, without a teacher and without dataset_meta."""
    stock = Config(cfg.to_dict()).model
    del stock["adaptations"]
    stock.test_cfg.network = "student"
    torch.manual_seed(0)
    model = MODELS.build(stock)
    model.init_weights()
    path = tmp_path / "source.pth"
    torch.save(dict(state_dict=model.state_dict(), meta=dict()), path)
    return str(path)


@pytest.fixture
def image(tmp_path):
    path = str(tmp_path / "image.png")
    cv2.imwrite(path, np.random.default_rng(0).integers(0, 256, (80, 80, 3), np.uint8))
    return path


def set_teacher(model):
    """As a run does, but with weights that are not the student's."""
    teacher = model.adaptations.mean_teacher
    with torch.no_grad():
        for parameter in teacher.teacher.parameters():
            parameter.mul_(1.1)
    teacher.average.steps.fill_(1)
    return teacher.teacher


@pytest.mark.parametrize("weights", ["source", None])
def test_teacher_that_was_never_set_refuses_to_predict(cfg, source, image, weights):
    model = init_model(cfg, source if weights else None, device="cpu")
    images = torch.zeros(1, 3, 64, 64)
    calls = dict(
        forward=lambda: model(images, None),
        _forward=lambda: model._forward(images),
        extract_feat=lambda: model.extract_feat(images),
        predict=lambda: model.predict(images, batch(source=1)[1]),
        forward_predict=lambda: model(images, batch(source=1)[1], mode="predict"),
        inference_topdown=lambda: inference_topdown(model, image),
    )
    for call in calls.values():
        with pytest.raises(RuntimeError, match=REFUSAL):
            call()
    set_teacher(model)
    for name in ("forward", "_forward", "extract_feat", "inference_topdown"):
        calls[name]()


def test_inferencer_refuses_as_well(cfg, source, image, tmp_path):
    cfg.dump(tmp_path / "run.py")
    inferencer = MMPoseInferencer(
        pose2d=str(tmp_path / "run.py"),
        pose2d_weights=source,
        device="cpu",
        det_model="whole_image",
    )
    with pytest.raises(RuntimeError, match=REFUSAL):
        next(inferencer(image))
    set_teacher(inferencer.inferencer.model)
    [people] = next(inferencer(image))["predictions"]
    assert len(people[0]["keypoints"]) == 16


def test_every_entry_is_that_of_the_teacher(cfg):
    model = MODELS.build(cfg.model).eval()
    teacher = set_teacher(model)
    images = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        expected = teacher.head(teacher.backbone(images))
        [feats] = model.extract_feat(images)
        torch.testing.assert_close(feats, teacher.backbone(images)[-1])
        for found in (model(images, None), model._forward(images)):
            torch.testing.assert_close(found, expected, rtol=0, atol=0)
        student = model.head(model.backbone(images))
    assert not torch.allclose(expected, student)
    model.test_cfg.network = "student"
    with torch.no_grad():
        torch.testing.assert_close(model(images, None), student, rtol=0, atol=0)


def test_loss_is_always_that_of_the_student(cfg):
    """Even if the deployed teacher was never set."""
    del cfg.model.adaptations["mean_teacher"]
    cfg.model.test_cfg.network = "student"
    model = MODELS.build(cfg.model).train()
    assert torch.isfinite(model.loss(*batch(source=2, target_unlabeled=2))["cafa.loss"])


def test_start_from_a_source_model_reports_no_mismatch(cfg, source):
    logger, handler, lines = MMLogger.get_instance("start"), logging.Handler(), []
    handler.emit = lambda record: lines.append(record.getMessage())
    logger.addHandler(handler)
    model = MODELS.build(cfg.model)
    load_checkpoint(model, source, logger=logger)
    assert [line for line in lines if "the checkpoint has no adaptations" in line]
    assert not [line for line in lines if "do not match exactly" in line]
    # But a checkpoint that lacks a weight of the network itself does not match.
    content = torch.load(source)
    del content["state_dict"]["head.final_layer.bias"]
    torch.save(content, source)
    load_checkpoint(model, source, logger=logger)
    [line] = [line for line in lines if "do not match exactly" in line]
    assert "head.final_layer.bias" in line and "adaptations." not in line


def test_weights_without_dataset_meta_have_the_joints_of_the_config(cfg, source):
    cfg.model.test_cfg.network = "student"
    model = init_model(cfg, source, device="cpu")
    assert model.dataset_meta["dataset_name"] == "mpii"
    assert model.dataset_meta["num_keypoints"] == 16
