"""What a domain must not know changes no weight, bit for bit, at every label level."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.runner import Runner
from mmpose.registry import MODELS
from tiny_domains import edit_json
from tiny_run import SSDA, UDA, run_config
from torch import Tensor, nn

from mmpose_da.datasets import MixedDomainDataset, PseudoLabels
from mmpose_da.models.adaptations import Adaptation
from mmpose_da.structures import TARGET_UNLABELED, DomainBatch


@MODELS.register_module()
class PartClassifier(Adaptation):
    """Learns the part labels of the target from its pooled features."""

    def __init__(self, **kwargs) -> None:
        super().__init__(**kwargs)
        self.layer = nn.Linear(self.in_channels, self.metainfo["num_keypoints"])

    def loss(self, batch: DomainBatch) -> dict[str, Tensor]:
        part = batch[TARGET_UNLABELED]
        logits = self.layer(part.features["head"].mean((2, 3)))
        labels, weights = (
            torch.cat([s.gt_instance_labels[name] for s in part.data_samples])
            for name in ("part_labels", "part_weights")
        )
        loss = nn.functional.binary_cross_entropy_with_logits(
            logits, labels.to(logits), weights.to(logits)
        )
        return dict(loss=loss)


@pytest.fixture
def train(tmp_path, coco, mpii):
    """Train for one epoch from COCO to MPII format; return the weights."""
    count = iter(range(100))

    def train(counts=UDA, adaptations=None, labels=None, **dataset):
        name = f"run_{next(count)}"
        target = mpii if labels is None else dict(mpii, labels=labels)
        cfg = run_config(tmp_path / name, coco, mpii, counts, max_epochs=1)
        cfg.train_dataloader.dataset.update(target=target, **dataset)
        cfg.model.adaptations.update(adaptations or {})
        cfg.val_cfg = cfg.val_dataloader = cfg.val_evaluator = None
        cfg.experiment_name = cfg.visualizer.name = name
        runner = Runner.from_cfg(cfg)
        runner.train()
        return {k: v.clone() for k, v in runner.model.state_dict().items()}

    return train


def same(a: dict, b: dict) -> bool:
    return all(torch.equal(a[key], b[key]) for key in a)


@pytest.fixture
def scramble(mpii):
    """Give people of some images other joints in their box, and other visibility."""

    def scramble(images=None, positions=True, visibility=True):
        rng = np.random.default_rng(5)

        def change(content):
            for annotation in content:
                if images is not None and annotation["image"] not in images:
                    continue
                if positions:
                    annotation["joints"] = rng.uniform(15, 65, (16, 2)).tolist()
                if visibility:
                    annotation["joints_vis"] = rng.integers(0, 2, 16).tolist()

        edit_json(mpii["ann_file"], change)

    return scramble


def test_unlabeled(train, scramble):
    before = train()
    scramble()
    assert same(before, train())


def test_keypoints_of_a_share(train, scramble, coco, mpii):
    share = dict(count=4)
    dataset = MixedDomainDataset("MpiiDataset", coco, mpii, share).datasets[1]
    labeled = {
        Path(dataset.get_data_info(i)["img_path"]).name for i in range(len(dataset))
    }
    everyone = {path.name for path in Path(mpii["data_prefix"]["img"]).iterdir()}
    assert len(labeled) == 4 < len(everyone)
    before = train(SSDA, labeled_target=share)
    scramble(everyone - labeled)
    assert same(before, train(SSDA, labeled_target=share))
    scramble(labeled)
    assert not same(before, train(SSDA, labeled_target=share))


def test_parts(train, scramble):
    def run():
        parts = dict(parts=dict(type="PartClassifier"))
        return train(adaptations=parts, labels="parts")

    scramble(visibility=False)  # all joints are inside the box from here on
    before = run()
    scramble(visibility=False)
    assert same(before, run())
    scramble(positions=False)
    assert not same(before, run())


def test_pseudo_labels(train, scramble, tmp_path):
    path = tmp_path / "pseudo.json"

    def write(seed: int) -> None:
        rng = np.random.default_rng(seed)
        names = ("right_ankle", "left_wrist", "head_top")
        ids = tuple(range(5))
        points = rng.uniform(15, 65, (5, 3, 2))
        PseudoLabels(names, ids, points, np.ones((5, 3)), np.ones(5)).save(path)

    def run():
        counts = dict(source=2, target_pseudo=1, target_unlabeled=1)
        return train(counts, pseudo_target=dict(ann_file=str(path)))

    write(0)
    before = run()
    scramble()
    assert same(before, run())
    write(1)
    assert json.loads(path.read_text())["annotations"]
    assert not same(before, run())
