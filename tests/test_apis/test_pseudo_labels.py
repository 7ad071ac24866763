"""Labeling the target with a model, and training on the labels."""

import json

import numpy as np
import pytest
from mmengine.dataset import pseudo_collate
from mmpose.apis import init_model
from mmpose.registry import DATASETS
from tiny_run import SSDA, UDA, run_config

from mmpose_da import apis
from mmpose_da.apis.pseudo_labels import pseudo_label


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


def test_labeled_people_get_no_pseudo_labels(tmp_path, coco, mpii):
    path = write_config(tmp_path, coco, mpii, SSDA, dict(count=7))
    train(path, "run", tmp_path)
    labels = pseudo_label(apis.load_config(path), tmp_path / "run" / "epoch_1.pth")
    assert len(labels) == 3


def test_nobody_to_label(tmp_path, coco, mpii):
    path = write_config(tmp_path, coco, mpii, target=None)
    with pytest.raises(ValueError, match=r"tiny\.py trains without a target"):
        pseudo_label(apis.load_config(path), "none.pth")
