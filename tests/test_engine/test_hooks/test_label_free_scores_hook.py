import json
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmengine.runner import Runner
from mmpose.registry import MODELS
from mmpose.structures import PoseDataSample
from tiny_domains import edit_json
from tiny_model import build, model_config
from tiny_run import UDA, run_config

from mmpose_da.engine import EMATeacherHook, LabelFreeScoresHook
from mmpose_da.engine.hooks.label_free_scores_hook import (
    source_people,
    source_poses,
)
from mmpose_da.evaluation import PlausiblePoses, domain_confusion
from mmpose_da.models.losses import InfoMaxLoss

STILL = dict(type="RandomView")
TURN = dict(type="RandomView", rotation=40, scale=(0.8, 1.2), flip_prob=0.5)
TEACHER = dict(mt=dict(type="MeanTeacher", momentum=0.5))


@pytest.fixture
def batches():
    torch.manual_seed(0)
    size = model_config()["head"]["decoder"]["input_size"]
    return [
        dict(inputs=[torch.randint(0, 256, (3, *size[::-1])).byte() for _ in range(n)])
        for n in (3, 2)
    ]


def preprocess(model, batch):
    samples = [PoseDataSample() for _ in batch["inputs"]]
    return model.data_preprocessor(dict(batch, data_samples=samples))["inputs"]


def runner_of(model):
    return SimpleNamespace(model=model, cfg=Config(dict()))


def score(hook, model, batches):
    runner, metrics = runner_of(model.eval()), {}
    hook.before_val(runner)
    hook.before_val_epoch(runner)
    for index, batch in enumerate(batches):
        hook.after_val_iter(runner, index, batch, [])
    hook.after_val_epoch(runner, metrics)
    return metrics


def with_teacher():
    torch.manual_seed(0)
    model = build(joints="MpiiDataset", adaptations=TEACHER)
    EMATeacherHook().update(model)
    return model


def test_the_same_image_and_the_same_teacher_agree(batches):
    metrics = score(LabelFreeScoresHook(view=STILL), with_teacher(), batches)
    assert metrics["label_free/consistency"] == 100
    assert metrics["label_free/teacher_agreement"] == 100
    assert "label_free/plausibility" not in metrics


def test_a_teacher_that_was_never_set_is_not_compared(batches):
    model = build(joints="MpiiDataset", adaptations=TEACHER)
    metrics = score(LabelFreeScoresHook(view=STILL), model, batches)
    assert "label_free/teacher_agreement" not in metrics


def test_views_are_compared_at_the_same_place_of_the_image(batches, monkeypatch):
    """A network that follows a spot in the image is consistent."""
    model = build(joints="MpiiDataset").eval()
    hook = LabelFreeScoresHook(view=TURN)
    read = hook._read

    def follow(model, network, images):
        return read(
            model, lambda images: images[:, :1, ::4, ::4].repeat(1, 16, 1, 1), images
        )

    def stay(model, network, images):
        found, points, confidence = follow(model, network, images)
        return found, torch.full_like(points, 12.0), confidence

    for batch in batches:
        for image in batch["inputs"]:
            y, x = (torch.arange(side) for side in image.shape[1:])
            square = (x - 30) ** 2 + (y[:, None] - 35) ** 2
            image.copy_(20 + 230 * torch.exp(-square / (2 * 5**2)))
    monkeypatch.setattr(hook, "_read", follow)
    assert score(hook, model, batches)["label_free/consistency"] == 100
    monkeypatch.setattr(hook, "_read", stay)
    assert score(hook, model, batches)["label_free/consistency"] < 30


def test_left_and_right_change_places_in_a_mirror_image(batches, monkeypatch):
    """A network that finds left joints in the left half, and right ones right."""
    model = build(joints="MpiiDataset").eval()
    names = [model.metainfo["keypoint_id2name"][k] for k in range(16)]
    hook = LabelFreeScoresHook(view=dict(type="RandomView", flip_prob=1.0))
    read = hook._read

    def halves(images):
        maps = images[:, :1, ::4, ::4].repeat(1, 16, 1, 1).exp()
        for index, name in enumerate(names):
            if name.startswith("left"):
                maps[:, index, :, maps.shape[3] // 2 :] = 0
            elif name.startswith("right"):
                maps[:, index, :, : maps.shape[3] // 2] = 0
        return maps

    def follow(model, network, images):
        return read(model, halves, images)

    for batch in batches:
        for image in batch["inputs"]:
            image.fill_(20)
            for x, y in ((12, 20), (40, 36)):
                image[:, y - 2 : y + 4, x - 2 : x + 4] = 120
    monkeypatch.setattr(hook, "_read", follow)
    found = score(hook, model, batches)["label_free/consistency"]
    sided = np.mean([name.startswith(("left", "right")) for name in names])
    assert found >= 100 * sided


def test_scores_equal_slow_computation(batches):
    model = with_teacher()
    with torch.no_grad():
        for parameter in model.head.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    hook = LabelFreeScoresHook(threshold=0.1)
    metrics = score(hook, model, batches)
    same, sure, maps = [], [], []
    scale = np.array(model.head_outputs.scale)
    for batch in batches:
        images = preprocess(model, batch)
        own, taught = (
            model.head_outputs.points(network(images))
            for network in (model.student, model.adaptations["mt"].teacher)
        )
        sure += own[1].flatten().tolist()
        for a, b in zip(own[0].flatten(0, 1), taught[0].flatten(0, 1), strict=True):
            distance = np.hypot(*((a - b).detach().numpy() * scale))
            same.append(distance <= 0.1 * max(model.head.decoder.input_size))
        maps.append(model.head(model.student.extract_feat(images)))
    assert metrics["label_free/teacher_agreement"] == pytest.approx(100 * np.mean(same))
    assert 0 < np.mean(same) < 1
    assert metrics["label_free/confidence"] == pytest.approx(
        100 * np.mean(sure), rel=1e-4
    )
    information = -InfoMaxLoss(temperature=0.1)(torch.cat(maps))["loss"]
    assert metrics["label_free/information"] == pytest.approx(
        float(information), rel=1e-3, abs=1e-6
    )


def test_every_validation_sees_the_same_views(batches):
    hook, model = LabelFreeScoresHook(), with_teacher()
    state = torch.get_rng_state()
    first = score(hook, model, batches)
    assert torch.equal(torch.get_rng_state(), state)  # the run is not changed
    assert score(hook, model, batches) == first


def test_poses_of_the_source(coco):
    joints = source_poses(
        dict(type="MixedDomainDataset", joints="MpiiDataset", source=coco), 4
    )
    assert joints.shape == (4, 16, 2)
    names = build(joints="MpiiDataset").metainfo["keypoint_name2id"]
    assert np.isnan(joints[:, names["head_top"]]).all()  # COCO has no such joint
    assert np.isfinite(joints[:, names["left_wrist"]]).any()


def scores_of(cfg):
    cfg.custom_hooks.append(
        dict(type="LabelFreeScoresHook", num_source=5, num_features=9)
    )
    runner = Runner.from_cfg(cfg)
    runner.train()
    return runner


def test_a_run_logs_the_scores_and_chooses_by_one(coco, mpii, tmp_path):
    cfg = run_config(tmp_path / "run", coco, mpii, UDA)
    cfg.default_hooks = dict(
        checkpoint=dict(
            type="CheckpointHook",
            save_best="label_free/consistency",
            rule="greater",
        )
    )
    scores_of(cfg)
    [log] = (tmp_path / "run").glob("*/vis_data/scalars.json")
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    names = ("consistency", "teacher_agreement", "confidence", "information")
    names += ("plausibility", "confusion")
    logged = [line for line in lines if "label_free/consistency" in line]
    assert logged and all(f"label_free/{name}" in logged[0] for name in names)
    assert list((tmp_path / "run").glob("best_label_free_consistency_*.pth"))


def test_labels_of_the_evaluation_set_are_not_read(coco, mpii, tmp_path):
    def run(name):
        runner = scores_of(run_config(tmp_path / name, coco, mpii, UDA))
        return {
            key: value.current()
            for key, value in runner.message_hub.log_scalars.items()
            if "label_free" in key
        }

    first = run("first")

    def move(content):
        for annotation in content:
            annotation["joints"] = (np.array(annotation["joints"]) * 0.7).tolist()

    edit_json(mpii["ann_file"], move)
    assert run("second") == first and first


def test_plausibility_is_that_of_the_predictions(batches):
    model = build(joints="MpiiDataset").eval()
    hook = LabelFreeScoresHook(view=STILL)
    links = model.metainfo["skeleton_links"]
    rng = np.random.default_rng(0)
    hook.plausible = PlausiblePoses(rng.uniform(0, 64, (50, 16, 2)), links, share=0.5)
    metrics = score(hook, model, batches)
    found = []
    for batch in batches:
        images = preprocess(model, batch)
        points, _ = model.head_outputs.points(model.student(images))
        poses = points.detach().numpy() * np.array(model.head_outputs.scale)
        found += hook.plausible(poses).flatten().tolist()
    assert metrics["label_free/plausibility"] == pytest.approx(100 * np.mean(found))


def test_confusion_is_that_of_the_features_of_both_domains(coco, mpii, tmp_path):
    cfg = run_config(tmp_path / "run", coco, mpii, UDA)
    runner = scores_of(cfg)
    model = runner.model.eval()
    found = runner.message_hub.get_scalar("val/label_free/confusion").current()
    source = source_people(
        cfg.train_dataloader.dataset, cfg.val_dataloader.dataset.pipeline
    )
    features = []
    for people in (source, runner.val_dataloader.dataset):
        assert len(people) > 1
        for index in range(len(people)):
            data = pseudo_collate([people[index]])
            images = model.data_preprocessor(data)["inputs"]
            with torch.no_grad():
                features.append(model.extract_feat(images)[-1][0].mean((1, 2)))
    first, second = torch.stack(features).split([len(source), len(people)])
    assert found == pytest.approx(100 * domain_confusion(first, second))


def test_features_of_some_people_are_enough(coco, mpii, tmp_path):
    """As many people of each domain, evenly spread, as are asked for."""
    runner = scores_of(run_config(tmp_path / "run", coco, mpii, UDA))
    [hook] = [h for h in runner.hooks if isinstance(h, LabelFreeScoresHook)]
    hook.num_features = 2
    metrics = {}
    hook.before_val_epoch(runner)
    hook.after_val_epoch(runner, metrics)
    features = []
    for people in (hook.source, runner.val_dataloader.dataset):
        assert len(people) > 2
        for index in (0, len(people) // 2):
            data = pseudo_collate([people[index]])
            images = runner.model.data_preprocessor(data)["inputs"]
            with torch.no_grad():
                features.append(runner.model.extract_feat(images)[-1][0].mean((1, 2)))
    first, second = torch.stack(features).split(2)
    expected = 100 * domain_confusion(first, second)
    assert metrics == {"label_free/confusion": pytest.approx(expected)}


def test_other_models():
    model = MODELS.build(model_config(type="TopdownPoseEstimator"))
    with pytest.raises(ValueError, match="but the model is a TopdownPoseEstimator"):
        LabelFreeScoresHook().before_val(runner_of(model))
    with pytest.raises(ValueError, match="needs `joints`"):
        LabelFreeScoresHook().before_val(runner_of(build()))
