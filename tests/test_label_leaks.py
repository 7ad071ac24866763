"""What a domain must not know changes no weight, bit for bit, at every label level."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.runner import Runner
from mmpose.registry import MODELS
from tiny_domains import TRAIN_PIPELINE, edit_json
from tiny_model import LOCATION_FREE_HEAD
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

    def train(counts=UDA, adaptations=None, labels=None, head=None, **dataset):
        name = f"run_{next(count)}"
        target = mpii if labels is None else dict(mpii, labels=labels)
        cfg = run_config(tmp_path / name, coco, mpii, counts, max_epochs=1)
        cfg.train_dataloader.dataset.update({"target": target, **dataset})
        cfg.model.adaptations.update(adaptations or {})
        if head is not None:
            cfg.model.merge(dict(head=head, backbone=dict(out_indices=(0, 1, 2))))
            cfg.model.adaptations = {}
            cfg.custom_hooks = []
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


CROPS = dict(count=3, share=(0.4, 0.8))
HEAD = dict(
    LOCATION_FREE_HEAD,
    _delete_=True,
    prototypes=dict(classify=False),
    relations=dict(),
    joints="MpiiDataset",
)


def use_parts(codec: dict, use: str) -> list[dict]:
    """The training pipeline with another codec, and parts of people.

    They are marked in the image, or shown: filling it, or in place.
    """
    *steps, affine, _, pack = TRAIN_PIPELINE
    if use == "mark":
        cropped = [affine, dict(type="MarkPartCrops")]
    else:
        show = dict(type="RandomPartCrop", prob=0.8, zoom=use == "zoom")
        cropped = [show, affine]
    target = dict(type="GenerateTarget", encoder=codec)
    return [*steps, *cropped, target, pack]


@pytest.fixture
def move_inside_crops(mpii):
    """Give joints another place at random that is in the same crops as before."""

    def move(images=None):
        target = dict(mpii, labels="parts", part_crops=CROPS)
        people = MixedDomainDataset("MpiiDataset", target=target).datasets[0]
        infos = [people.get_data_info(i) for i in range(len(people))]
        boxes = {
            Path(info["img_path"]).name: np.concatenate(
                [info["bbox"], info["part_crops"]]
            )
            for info in infos
        }
        rng = np.random.default_rng(3)

        def where(point, crops):  # MPII counts from 1
            return ((point - 1 >= crops[:, :2]) & (point - 1 <= crops[:, 2:])).all(1)

        def change(content):
            for annotation in content:
                if images is not None and annotation["image"] not in images:
                    continue
                crops = boxes[annotation["image"]]
                for index, point in enumerate(annotation["joints"]):
                    inside = where(np.array(point), crops)
                    moved = rng.uniform(0, 80, (4000, 2))
                    same = [m for m in moved if (where(m, crops) == inside).all()]
                    annotation["joints"][index] = same[0].tolist()

        edit_json(mpii["ann_file"], change)

    return move


@pytest.fixture
def train_location_free(train, mpii):
    """Train the whole location-free model on the target alone."""

    def run(share=None, use="mark"):
        counts = dict(target_unlabeled=4)
        if share:
            counts = dict(target_labeled=2, target_unlabeled=2)
        return train(
            counts,
            head=dict(HEAD, pool=dict(kind="mass" if use == "mark" else "lse")),
            source=None,
            target=dict(mpii, labels="parts", part_crops=CROPS),
            labeled_target=share,
            pipeline=use_parts(HEAD["decoder"], use),
        )

    return run


def positions(mpii) -> np.ndarray:
    content = json.loads(Path(mpii["ann_file"]).read_text())
    return np.array([annotation["joints"] for annotation in content])


@pytest.mark.parametrize(
    "share, use",
    [(None, "zoom"), (dict(count=3), "show"), (None, "mark"), (dict(count=3), "mark")],
)
def test_location_free_training(
    train_location_free, move_inside_crops, scramble, mpii, share, use
):
    """Positions within the crops are not known, which crops show a joint is."""
    dataset = MixedDomainDataset("MpiiDataset", target=mpii, labeled_target=share)
    domain = len(dataset.datasets) - 1
    unlabeled = {
        Path(dataset.datasets[domain].get_data_info(i)["img_path"]).name
        for i in range(dataset.lens[-1])
    }
    before, placed = train_location_free(share, use), positions(mpii)
    move_inside_crops(unlabeled)
    moved = np.abs(positions(mpii) - placed).max((1, 2)) > 5
    assert moved.sum() == len(unlabeled) == 10 - (3 if share else 0)
    assert same(before, train_location_free(share, use))
    scramble(unlabeled, visibility=False)
    assert not same(before, train_location_free(share, use))


@pytest.mark.parametrize("use", ["mark", "show"])
def test_part_crops_beside_a_source(train, move_inside_crops, scramble, mpii, use):
    """Heatmaps are classified, and a mean teacher mirrors the target's images."""
    codec = TRAIN_PIPELINE[-2]["encoder"]

    def run():
        return train(
            adaptations=dict(parts=dict(type="PartClassification")),
            target=dict(mpii, labels="parts", part_crops=CROPS),
            pipeline=use_parts(codec, use),
        )

    before = run()
    move_inside_crops()
    assert same(before, run())
    scramble(visibility=False)
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
