"""Labeling the target with a model, and training on the labels."""

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.dataset import pseudo_collate
from mmpose.apis import init_model
from mmpose.registry import DATASETS, MODELS
from tiny_run import SSDA, UDA, run_config
from torch import Tensor, nn

from mmpose_da import apis
from mmpose_da.apis.pseudo_labels import pseudo_label, to_image
from mmpose_da.datasets import MixedDomainDataset, PseudoLabels
from mmpose_da.models.layers import Pixels


def write_config(tmp_path, coco, mpii, counts=UDA, share=None, **dataset) -> str:
    cfg = run_config(tmp_path / "run", coco, mpii, counts, share, max_epochs=1)
    cfg.train_dataloader.dataset.update(dataset)
    cfg.dump(tmp_path / "tiny.py")
    return str(tmp_path / "tiny.py")


def train(path: str, name: str, tmp_path):
    cfg = apis.load_config(path, work_dir=str(tmp_path / name))
    cfg.experiment_name = cfg.visualizer.name = name
    return cfg, apis.train(cfg)


def test_labels_are_predictions_and_train(tmp_path, coco, mpii, load_tool, capsys):
    path = write_config(tmp_path, coco, mpii)
    train(path, "first", tmp_path)
    checkpoint = str(tmp_path / "first" / "epoch_1.pth")
    out = tmp_path / "out" / "pseudo.json"
    tool = load_tool("pseudo_label")
    tool.main([path, checkpoint, str(out), "--keep", "0.4", "--workers", "0"])
    assert f"{out}: 4 people" in capsys.readouterr().out

    content = json.loads(out.read_text())
    assert len(content["joints"]) == 16 and len(content["annotations"]) == 4
    target = apis.load_config(path).train_dataloader.dataset.target
    files = dict(people=target.ann_file, checkpoint=checkpoint)
    for what, file in files.items():
        digest = hashlib.sha256(Path(file).read_bytes()).hexdigest()
        assert content["made_from"][what] == digest
    scores = [annotation["score"] for annotation in content["annotations"]]
    assert scores == sorted(scores, reverse=True)
    every = pseudo_label(apis.load_config(path), checkpoint)
    assert sorted(every.scores.round(6))[-4:] == sorted(scores)

    # What the model predicts for the person in the test pipeline.
    cfg = apis.load_config(path)
    model = init_model(cfg, checkpoint, device="cpu")
    people = DATASETS.build(
        dict(cfg.test_dataloader.dataset, type="ZeroBasedMpiiDataset")
    )
    best = content["annotations"][0]
    [sample] = [
        people[i]
        for i in range(len(people))
        if people[i]["data_samples"].id == best["id"]
    ]
    [found] = model.test_step(pseudo_collate([sample]))
    rows = np.reshape(best["keypoints"], (16, 3))
    np.testing.assert_allclose(
        rows[:, :2], found.pred_instances.keypoints[0], atol=1e-3
    )
    assert rows[:, 2].mean() == pytest.approx(best["score"], abs=1e-4)

    counts = dict(source=2, target_pseudo=1, target_unlabeled=1)
    pseudo = dict(ann_file=str(out), threshold=0.0)
    again = write_config(tmp_path, coco, mpii, counts, pseudo_target=pseudo)
    _, runner = train(again, "second", tmp_path)
    lens = dict(
        zip(
            runner.train_dataloader.dataset.domains,
            runner.train_dataloader.dataset.lens,
            strict=True,
        )
    )
    assert lens == dict(source=6, target_pseudo=4, target_unlabeled=6)
    logged = runner.message_hub.log_scalars
    assert "train/target_pseudo.loss_kpt" in logged


def test_errors_of_kept_and_dropped_people(tmp_path, coco, mpii, load_tool, capsys):
    """Of two rounds, which keep a half and all of them."""
    path = write_config(tmp_path, coco, mpii)
    training = apis.load_config(path).train_dataloader.dataset
    people = MixedDomainDataset(
        training.joints, target=training.target, labeled_target=dict(ratio=1.0)
    )
    infos = [people.get_data_info(i) for i in range(len(people))]
    size = np.array([(i["bbox"][0, 2:] - i["bbox"][0, :2]).max() for i in infos])
    percent = np.arange(len(infos))  # the errors
    points = np.concatenate([info["keypoints"] for info in infos]).astype(float)
    points[..., 0] += (percent / 100 * size)[:, None]
    names = people.metainfo["keypoint_id2name"]
    labels = PseudoLabels(
        tuple(names[i] for i in range(len(names))),
        tuple(info["id"] for info in infos),
        points,
        np.ones(points.shape[:2]),
        -percent.astype(float),
    )
    files = [str(tmp_path / f"{share}.json") for share in (0.5, 1.0)]
    for share, file in zip((0.5, 1.0), files, strict=True):
        labels.most_confident(share).save(file)
    tool = load_tool("check_pseudo_labels")
    tool.main([path, *files])
    half, every = capsys.readouterr().out.splitlines()[-2:]
    assert half == f"| {files[0]} | 10 | 50% | 2.00 | 7.00 | -1.000 |"
    assert every == f"| {files[1]} | 10 | 100% | 4.50 | nan | -1.000 |"
    tool.main([path, files[0]])
    assert "| 40% | 1.50 | 1.50 |" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        tool.main([path, *files, "--picture", str(tmp_path / "p.png")])
    assert "--picture is of one file" in capsys.readouterr().err


def test_labeled_people_get_no_pseudo_labels(tmp_path, coco, mpii):
    path = write_config(tmp_path, coco, mpii, SSDA, dict(count=7))
    train(path, "run", tmp_path)
    labels = pseudo_label(apis.load_config(path), tmp_path / "run" / "epoch_1.pth")
    assert len(labels) == 3


def test_nobody_to_label(tmp_path, coco, mpii):
    path = write_config(tmp_path, coco, mpii, target=None)
    with pytest.raises(ValueError, match=r"tiny\.py trains without a target"):
        pseudo_label(apis.load_config(path), "none.pth")


class Centroids(nn.Module):
    """Finds the centroid of each color exactly; it stands in for a head.

    The depth is four standard deviations of the color: it grows with a person's size.
    """

    scale = (1.0, 1.0)

    def points(self, images: Tensor) -> tuple[Tensor, Tensor]:
        weight = images.clamp(min=0).double()
        weight = weight / weight.sum((2, 3), keepdim=True)
        y, x = (torch.arange(n).double() for n in images.shape[2:])
        columns, rows = weight.sum(2), weight.sum(3)
        center_x, center_y = (columns * x).sum(-1), (rows * y).sum(-1)
        spread = (columns * x.square()).sum(-1) + (rows * y.square()).sum(-1)
        variance = (spread - center_x.square() - center_y.square()) / 2
        points = torch.stack([center_x, center_y, 4 * variance.sqrt()], -1)
        return points.float(), torch.full(points.shape[:2], 0.5)


@pytest.fixture
def labeler(monkeypatch):
    """Label with Centroids instead of a network."""
    from mmpose_da.apis import pseudo_labels as module

    def make(*views, score="peak", flip_indices=(0, 1, 2)):
        labeler = object.__new__(module._Labeler)
        labeler.views = [MODELS.build(dict(type="RandomView", **v)) for v in views]
        labeler.score, labeler.flip_indices = score, list(flip_indices)
        labeler.network, labeler.outputs = nn.Identity(), Centroids()
        labeler.pixels = Pixels(nn.Identity())
        labeler.pixels.is_rgb = True
        return labeler

    return make


def blobs(count=4, size=64) -> Tensor:
    """Images (B, 3, S, S) with one blob of each color, each of another size."""
    generator = torch.Generator().manual_seed(3)
    centers = torch.rand(count, 3, 2, generator=generator) * 24 + 20
    grid = torch.arange(size)
    x = (grid - centers[..., :1]).square()[:, :, None, :]
    y = (grid - centers[..., 1:]).square()[:, :, :, None]
    deviation = torch.tensor([2.5, 3.0, 3.5])[:, None, None]
    return 255 * torch.exp(-(x + y) / (2 * deviation.square()))


def test_views_are_carried_back_exactly(labeler):
    images = blobs()
    expected, _ = Centroids().points(images)
    mirror = dict(flip_prob=1.0)
    found, confidence = labeler(mirror)._ensemble(images)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-3)
    assert (confidence == 0.5).all()
    torch.testing.assert_close(
        found[..., 2], torch.tensor([[10.0, 12, 14]] * 4), rtol=0, atol=0.1
    )
    # Scale and translation are interpolated, so nearly exact; depth scales with x, y.
    torch.manual_seed(0)
    moved = dict(scale=(0.8, 1.25), translation=0.05, rotation=20)
    found, _ = labeler(moved, mirror, moved)._ensemble(images)
    torch.testing.assert_close(found[..., :2], expected[..., :2], rtol=0, atol=0.1)
    torch.testing.assert_close(found[..., 2], expected[..., 2], rtol=0, atol=0.3)
    halved = dict(scale=(0.5, 0.5))
    found, _ = labeler(halved)._ensemble(images)  # 3 px less if depth stayed halved
    torch.testing.assert_close(found, expected, rtol=0, atol=0.3)


def test_left_and_right_are_exchanged_in_a_mirror_image(labeler):
    images = blobs()
    expected, _ = Centroids().points(images)
    found, _ = labeler(dict(flip_prob=1.0), flip_indices=(1, 0, 2))._ensemble(images)
    mean = (expected[:, 0] + expected[:, 1]) / 2
    torch.testing.assert_close(found[:, 0], mean, rtol=0, atol=1e-3)
    torch.testing.assert_close(found[:, 2], expected[:, 2], rtol=0, atol=1e-3)


def test_agreement_is_low_where_views_differ(labeler):
    images = blobs()
    options = dict(score="agreement", flip_indices=(1, 0, 2))
    _, confidence = labeler(dict(flip_prob=1.0), **options)._ensemble(images)
    points, _ = Centroids().points(images)
    half = torch.linalg.vector_norm(points[:, 0] - points[:, 1], dim=-1) / 2
    torch.testing.assert_close(confidence[:, 0], 1 / (1 + half), rtol=1e-3, atol=1e-3)
    assert (confidence[:, 2] > 0.99).all()


def test_points_in_the_image_are_those_of_the_estimator():
    crop = dict(input_size=(64, 48), input_scale=[128.0, 96.0], input_center=[70, 50.0])
    points = np.array([[0.0, 0.0, 3.0], [32.0, 24.0, -1.0]])
    np.testing.assert_allclose(
        to_image(points, crop), [[6.0, 2.0, 6.0], [70.0, 50.0, -2.0]]
    )


@pytest.mark.parametrize(
    "kwargs, message",
    [
        (dict(score="best"), "score='best' is not one of"),
        (dict(score="agreement"), "compares views, but there are none"),
    ],
)
def test_unusable_scores(kwargs, message):
    with pytest.raises(ValueError, match=message):
        pseudo_label(None, "none.pth", **kwargs)


@pytest.mark.parametrize("codec", ["MSRAHeatmap", "UDPHeatmap"])
def test_an_unchanged_view_gives_the_predictions(tmp_path, coco, mpii, codec):
    """In image pixels, whatever the convention of the codec is."""
    path = write_config(tmp_path, coco, mpii)
    cfg = apis.load_config(path)
    cfg.model.head.decoder.type = codec
    cfg.model.test_cfg.flip_test = False
    for transform in cfg.test_dataloader.dataset.pipeline:
        if transform["type"] == "TopdownAffine":
            transform["use_udp"] = codec == "UDPHeatmap"
    torch.manual_seed(0)
    model = MODELS.build(cfg.model)
    model.init_weights()
    torch.save(dict(state_dict=model.state_dict()), tmp_path / "any.pth")
    predicted = pseudo_label(cfg, tmp_path / "any.pth")
    found = pseudo_label(cfg, tmp_path / "any.pth", views=[dict(type="RandomView")])
    order = np.argsort(found.ids), np.argsort(predicted.ids)
    a, b = found.keypoints[order[0]], predicted.keypoints[order[1]]
    # Decoders refine peaks in their own way, by less than a heatmap pixel (5 px here).
    assert np.median(np.abs(a - b)) < 1.5
    shift = (a - b)[np.abs(a - b).max(-1) < 5].mean(0)
    assert np.abs(shift).max() < 0.5, shift
