import logging

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.logging import MMLogger
from mmengine.runner import load_checkpoint
from mmengine.structures import InstanceData
from mmpose.apis import MMPoseInferencer, inference_topdown, init_model
from mmpose.registry import MODELS
from tiny_model import batch, build, model_config
from tiny_run import UDA, run_config

from mmpose_da.models.adaptations import Adaptation

ALL = dict(
    cafa=dict(type="CAFA"),
    isa=dict(type="ISA"),
    ihta=dict(type="IHTA", loss=dict(type="IHTALoss", threshold=0.0)),
    entropy=dict(type="EntropyMinimization"),
    dan=dict(type="FeatureAlignment"),
    dann=dict(
        type="DomainAdversarial", discriminator=dict(type="GlobalDomainDiscriminator")
    ),
    local=dict(
        type="DomainAdversarial",
        feature="backbone.layer1",
        discriminator=dict(type="LocalDomainDiscriminator", in_channels=8),
    ),
)


@MODELS.register_module()
class Probe(Adaptation):
    """Keeps the batch that it is given."""

    def adapt(self, batch):
        batch.features["head"] = batch.features["head"] * 2

    def loss(self, batch):
        self.batch = batch
        return dict(loss=batch.maps["xy"].mean(), size=torch.tensor(len(batch)))


def expected_pose_losses(model, images, samples, start, stop):
    """MMPose's own estimator on a part of the images, with batch norm over all."""
    feats = model.extract_feat(images)
    heatmaps = model.head.forward(feats)[start:stop]
    part = samples[start:stop]
    target = torch.stack([s.gt_fields.heatmaps for s in part])
    weight = torch.cat([s.gt_instance_labels.keypoint_weights for s in part])
    return ((heatmaps - target).square() * weight[..., None, None]).mean()


def test_pose_losses_by_domain():
    model = build(target_loss_weight=0.25)
    images, samples = batch(source=3, target_labeled=2, target_unlabeled=2)
    losses = model.loss(images, samples)
    assert set(losses) == {
        f"{domain}.{name}"
        for domain in ("source", "target_labeled")
        for name in ("loss_kpt", "acc_pose")
    }
    with torch.no_grad():
        source = expected_pose_losses(model, images, samples, 0, 3)
        target = expected_pose_losses(model, images, samples, 3, 5)
    torch.testing.assert_close(losses["source.loss_kpt"], source)
    torch.testing.assert_close(losses["target_labeled.loss_kpt"], 0.25 * target)


def test_adaptations_see_what_the_head_saw_and_are_weighted():
    model = build(adaptations=dict(probe=dict(type="Probe", weight=0.5)))
    images, samples = batch(source=2, target_unlabeled=2)
    losses = model.loss(images, samples)
    seen = model.adaptations["probe"].batch
    own = model.extract_feat(images)[-1]
    torch.testing.assert_close(seen.features["head"], 2 * own)
    torch.testing.assert_close(seen.maps["xy"], model.head.forward((2 * own,)))
    torch.testing.assert_close(losses["probe.loss"], 0.5 * seen.maps["xy"].mean())
    assert losses["probe.size"] == 4  # not a loss: not weighted


def test_head_runs_once(monkeypatch):
    model = build()
    calls, forward = [], type(model.head).forward

    def counted(head, feats):
        calls.append(1)
        return forward(head, feats)

    monkeypatch.setattr(type(model.head), "forward", counted)
    model.loss(*batch(source=2, target_labeled=2))
    assert len(calls) == 1
    assert "forward" not in vars(model.head)


@pytest.mark.parametrize("names", [[name] for name in ALL] + [list(ALL)])
def test_each_adaptation_gives_finite_terms_and_gradients(names):
    torch.manual_seed(0)
    adaptations = {name: ALL[name] for name in names}
    model = build(adaptations=adaptations, joints="MpiiDataset")
    losses = model.loss(*batch(source=4, target_labeled=2, target_unlabeled=3))
    assert {key.split(".")[0] for key in losses} >= set(names)
    assert all(torch.isfinite(value).all() for value in losses.values())
    total, log = model.parse_losses(losses)
    assert set(losses) < set(log)
    total.backward()
    missing = [
        name
        for name, parameter in model.named_parameters()
        if parameter.grad is None or not torch.isfinite(parameter.grad).all()
    ]
    assert not missing


def test_terms_are_finite_in_half_precision():
    torch.manual_seed(0)
    model = build(adaptations=ALL, joints="MpiiDataset")
    with torch.autocast("cpu", dtype=torch.bfloat16):
        losses = model.loss(*batch(source=4, target_labeled=2, target_unlabeled=2))
        total, log = model.parse_losses(losses)
    assert all(torch.isfinite(value).all() for value in log.values())
    assert losses["dan.loss"].dtype == torch.float32
    total.backward()
    grads = [parameter.grad for parameter in model.parameters()]
    assert all(grad is not None and torch.isfinite(grad).all() for grad in grads)


def test_tapped_features_are_those_of_the_module():
    model = build(adaptations=dict(local=ALL["local"], probe=dict(type="Probe")))
    images, samples = batch(source=2, target_unlabeled=2)
    model.loss(images, samples)
    expected = {}
    model.backbone.layer1.register_forward_hook(
        lambda module, inputs, output: expected.update(layer1=output)
    )
    model.extract_feat(images)
    seen = model.adaptations["probe"].batch.features["backbone.layer1"]
    torch.testing.assert_close(seen, expected["layer1"])


def test_features_of_the_head_can_be_tapped():
    ihta = dict(type="IHTA", feature="head.deconv_layers", in_channels=32)
    model = build(
        joints="MpiiDataset", adaptations=dict(ihta=ihta, probe=dict(type="Probe"))
    )
    images, samples = batch(source=2, target_unlabeled=2)
    losses = model.loss(images, samples)
    assert torch.isfinite(losses["ihta.loss_align"])
    seen = model.adaptations["probe"].batch
    torch.testing.assert_close(
        model.head.final_layer(seen.features["head.deconv_layers"]), seen.maps["xy"]
    )


@pytest.mark.parametrize(
    "name, counts, missing",
    [
        ("isa", dict(source=2, target_unlabeled=2), "target_labeled"),
        ("entropy", dict(source=2, target_labeled=2), "target_unlabeled"),
        ("cafa", dict(source=4), "target"),
        ("dan", dict(target_unlabeled=4), "source"),
    ],
)
def test_a_domain_that_is_needed_and_missing_is_named(name, counts, missing):
    model = build(adaptations={name: ALL[name]}, joints="MpiiDataset")
    with pytest.raises(ValueError, match=rf"needs images of \['{missing}'\]"):
        model.loss(*batch(**counts))


def test_ihta_needs_a_skeleton():
    with pytest.raises(ValueError, match="set `joints`"):
        build(adaptations=dict(ihta=ALL["ihta"]))


def test_round_trip_of_checkpoints():
    """Stock weights load; adapted ones, stripped, predict the same when stock."""
    stock = build(type="TopdownPoseEstimator")
    model = build(adaptations=ALL, joints="MpiiDataset")
    result = model.load_state_dict(stock.state_dict(), strict=False)
    assert not result.unexpected_keys
    assert all(key.startswith("adaptations.") for key in result.missing_keys)

    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    losses = model.loss(*batch(source=2, target_labeled=2, target_unlabeled=2))
    model.parse_losses(losses)[0].backward()
    optimizer.step()
    adapted = {
        key: value
        for key, value in model.state_dict().items()
        if not key.startswith("adaptations.")
    }
    stock.load_state_dict(adapted, strict=True)
    images = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        ours, theirs = model.eval()(images, None), stock.eval()(images, None)
    torch.testing.assert_close(ours, theirs, rtol=0, atol=0)


def test_prediction_is_the_stock_one():
    model = build(adaptations=ALL, joints="MpiiDataset").eval()
    stock = build(type="TopdownPoseEstimator").eval()
    stock.load_state_dict(model.state_dict(), strict=False)
    images, samples = batch(source=2)
    flip_indices = model.metainfo["flip_indices"]
    for sample in samples:
        sample.gt_instances = InstanceData(
            bboxes=torch.tensor([[0.0, 0, 64, 64]]).numpy(), bbox_scores=torch.ones(1)
        )
        sample.set_metainfo(
            dict(
                flip_indices=flip_indices,
                input_size=(64, 64),
                input_center=torch.tensor([32.0, 32]).numpy(),
                input_scale=torch.tensor([64.0, 64]).numpy(),
            )
        )
    with torch.no_grad():
        ours = [s.pred_instances.keypoints for s in model.predict(images, samples)]
        theirs = [s.pred_instances.keypoints for s in stock.predict(images, samples)]
    assert all((a == b).all() for a, b in zip(ours, theirs, strict=True))


def test_checkpoint_with_other_joints_is_sorted_by_name():
    coco = build(17, type="TopdownPoseEstimator")
    model = build(16, joints="MpiiDataset", checkpoint_joints="CocoDataset")
    before = model.head.final_layer.weight.detach().clone()
    result = model.load_state_dict(coco.state_dict())
    assert not result.missing_keys and not result.unexpected_keys
    given, ours = coco.head.final_layer, model.head.final_layer
    torch.testing.assert_close(ours.weight[0], given.weight[16])  # right ankle
    torch.testing.assert_close(ours.bias[13], given.bias[5])  # left shoulder
    torch.testing.assert_close(ours.weight[6:10], before[6:10])  # not in COCO
    # its own checkpoint is loaded as it is
    own = {k: v.clone() for k, v in model.state_dict().items()}
    model.load_state_dict(own)
    torch.testing.assert_close(
        model.head.final_layer.weight, own["head.final_layer.weight"]
    )


def test_plain_config_is_the_stock_estimator():
    config = model_config(type="DomainAdaptiveTopdown")
    model = MODELS.build(config)
    stock = MODELS.build(dict(config, type="TopdownPoseEstimator"))
    assert list(model.state_dict()) == list(stock.state_dict())


def test_frozen_modules_neither_learn_nor_take_statistics():
    frozen = ("backbone.layer1", "head.deconv_layers")
    model = build(frozen=frozen)
    before = {k: v.clone() for k, v in model.state_dict().items()}
    optimizer = torch.optim.SGD((p for p in model.parameters() if p.requires_grad), 1)
    losses = model.loss(*batch(source=4))
    losses["source.loss_kpt"].backward()
    optimizer.step()
    changed = {
        k for k, v in model.state_dict().items() if not torch.equal(v, before[k])
    }
    assert not [k for k in changed if k.startswith(frozen)]
    assert "backbone.conv1.weight" in changed  # the gradient passes through
    assert "backbone.bn1.running_mean" in changed and "head.final_layer.bias" in changed
    assert model.training and not model.head.deconv_layers.training


def test_unknown_frozen_module():
    with pytest.raises(ValueError, match=r"model\.frozen names 'backbone\.layer9'"):
        build(frozen=("backbone.layer9",))


# The deployed network


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


# Configs that are refused


def adapted(**changes) -> dict:
    return dict(adaptations=dict(mine={**dict(type="CAFA"), **changes}))


ESTIMATORS = {
    # arguments of the estimator, what the error says
    "no such adaptation": (adapted(type="Cafa"), "model.adaptations.mine: .*Cafa"),
    "no such argument": (adapted(wieght=1), "model.adaptations.mine: .*wieght"),
    "weight of text": (adapted(weight="0.5"), "mine: .*weight must be a number"),
    "weight below 0": (adapted(weight=-1), "mine: .*weight must be .* but is -1"),
    "weight NaN": (
        adapted(weight=float("nan")),
        "mine: .*weight must be a number .* nan",
    ),
    "an adaptation that is none": (dict(adaptations=dict(mine=3)), "adaptations.mine"),
    "adaptations without names": (dict(adaptations=[3]), "must map names to configs"),
    "ramp to before its begin": (adapted(rampup=dict(begin=9, end=2)), "mine: .*begin"),
    "no such feature": (
        adapted(type="EntropyMinimization", feature="backbone.layer9"),
        "'backbone.layer9', which is not a module of the estimator",
    ),
    "no such joints": (dict(joints="Mpii"), "joints='Mpii'"),
    "a checkpoint's joints alone": (
        dict(joints=None, checkpoint_joints="MpiiDataset"),
        "checkpoint_joints is set, but joints is not",
    ),
    "other joints than the head's": (
        dict(joints="CocoDataset"),
        "out_channels is 16, but model.joints is 'coco' with 17 joints",
    ),
    "pose loss below 0": (dict(target_loss_weight=-1), "target_loss_weight must be"),
    "no such checkpoint's joints": (dict(checkpoint_joints="Mpi"), "joints='Mpi'"),
}


@pytest.mark.parametrize("changes, message", ESTIMATORS.values(), ids=ESTIMATORS)
def test_estimator_config_is_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        build(**{**dict(joints="MpiiDataset"), **changes})


@pytest.mark.parametrize("network", ["teacher", "tutor"])
def test_network_that_is_not_there_is_refused(network):
    cfg = model_config(type="DomainAdaptiveTopdown", joints="MpiiDataset")
    cfg["test_cfg"] = dict(network=network)
    with pytest.raises(ValueError, match=f"test_cfg.network='{network}' is not av"):
        MODELS.build(cfg)


# Statistics of the batch normalization


def images_and_taps(statistics, **counts):
    torch.manual_seed(0)
    tap = dict(type="FeatureAlignment", feature="backbone.layer1", in_channels=8)
    model = build(
        joints="MpiiDataset", statistics=statistics, adaptations=dict(dan=tap)
    )
    model.adaptations["dan"].needs = ()
    torch.manual_seed(1)
    images, samples = batch(**counts)
    seen = {}

    def keep(whole):
        seen.update(whole.features, outputs=whole.outputs)
        return {}

    model.adaptations["dan"].loss = keep
    model.loss(images, samples)
    return model, images, seen


@pytest.mark.parametrize("statistics", ["domain", "target"])
def test_each_domain_has_statistics_of_its_own(statistics):
    counts = dict(source=3, target_labeled=2, target_unlabeled=4)
    model, images, seen = images_and_taps(statistics, **counts)
    other, _, _ = images_and_taps(statistics, source=2)
    norm = model.backbone.bn1
    running, start = [], 0
    for count in counts.values():
        own = images[start : start + count]
        taps = {}
        other.backbone.layer1.register_forward_hook(
            lambda module, args, out, taps=taps: taps.update(layer1=out)
        )
        feats = other.backbone(own)
        place = slice(start, start + count)
        for name, value in (
            ("head", feats[-1]),
            ("backbone.layer1", taps["layer1"]),
            ("outputs", other.head(feats)),
        ):
            torch.testing.assert_close(seen[name][place], value)
        running.append(other.backbone.conv1(own).mean(dim=(0, 2, 3)))
        start += count
    expected = torch.zeros_like(norm.running_mean)
    for mean in running if statistics == "domain" else running[1:]:
        expected = 0.9 * expected + 0.1 * mean
    torch.testing.assert_close(norm.running_mean, expected)
    assert norm.momentum == 0.1


def test_shared_statistics_are_those_of_one_pass():
    model, images, seen = images_and_taps("shared", source=3, target_unlabeled=4)
    mean = model.backbone.conv1(images).mean(dim=(0, 2, 3))
    torch.testing.assert_close(model.backbone.bn1.running_mean, 0.1 * mean)
    _, _, apart = images_and_taps("domain", source=3, target_unlabeled=4)
    assert not torch.allclose(seen["head"], apart["head"])


def test_without_a_target_running_statistics_are_those_of_the_source():
    model, images, _ = images_and_taps("target", source=3)
    mean = model.backbone.conv1(images).mean(dim=(0, 2, 3))
    torch.testing.assert_close(model.backbone.bn1.running_mean, 0.1 * mean)


def test_unknown_statistics():
    with pytest.raises(ValueError, match="model.statistics='own'"):
        build(statistics="own")
