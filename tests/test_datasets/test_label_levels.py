"""Part labels and pseudo-labels of a MixedDomainDataset."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny_domains import COCO_LIMBS, MPII_LIMBS, TRAIN_PIPELINE, edit_json

from mmpose_da.datasets import (
    AnnotationError,
    Labels,
    MixedDomainBatchSampler,
    MixedDomainDataset,
    PseudoLabels,
)

JOINTS = ("right_ankle", "left_wrist", "thorax")


@pytest.fixture
def write_pseudo(tmp_path):
    """Write pseudo-labels of the people with some ids; return them and the file."""

    def write(*ids: int, joints=JOINTS, name="pseudo.json") -> tuple[PseudoLabels, str]:
        rng = np.random.default_rng(len(ids))
        labels = PseudoLabels(
            joints,
            ids,
            rng.uniform(15, 65, (len(ids), len(joints), 2)).round(4),
            rng.uniform(0, 1, (len(ids), len(joints))).round(4),
            rng.uniform(0, 1, len(ids)).round(6),
        )
        labels.save(tmp_path / name)
        return labels, str(tmp_path / name)

    return write


def build(pseudo_file=None, threshold=0.0, pipeline=(), **kwargs):
    pseudo = dict(ann_file=pseudo_file, threshold=threshold) if pseudo_file else None
    return MixedDomainDataset(
        "MpiiDataset", pseudo_target=pseudo, pipeline=pipeline, **kwargs
    )


def name_ids(dataset: MixedDomainDataset) -> dict[str, int]:
    return dataset.metainfo["keypoint_name2id"]


# Part labels


def test_parts_are_the_labeled_joints_inside_the_box(coco, mpii):
    def change(content):
        joints = content["annotations"][0]["keypoints"]
        joints[3 * COCO_LIMBS[0] + 2] = 0  # not labeled
        joints[3 * COCO_LIMBS[1] : 3 * COCO_LIMBS[1] + 2] = [4.0, 40.0]  # outside

    edit_json(coco["ann_file"], change)
    dataset = build(
        source=mpii, target=dict(coco, labels="parts"), pipeline=TRAIN_PIPELINE
    )
    assert dataset.labels == dict(
        source=Labels.KEYPOINTS, target_unlabeled=Labels.PARTS
    )
    start = dataset.lens[0]
    flips = dataset.metainfo["flip_indices"]
    for _ in range(8):  # the flip is random
        sample = dataset[start]["data_samples"]
        assert sample.domain == "target_unlabeled"
        assert set(sample.gt_instance_labels.keys()) == {"part_labels", "part_weights"}
        assert "gt_fields" not in sample and "keypoints" not in sample.gt_instances
        labels = sample.gt_instance_labels.part_labels[0].numpy()
        weights = sample.gt_instance_labels.part_weights[0].numpy()
        if sample.metainfo["flip"]:
            labels, weights = labels[flips], weights[flips]
        expected = np.ones(16)
        expected[[8, 9]] = 0  # COCO has no upper neck and no head top
        np.testing.assert_array_equal(weights, expected)
        expected[MPII_LIMBS[:2]] = 0
        np.testing.assert_array_equal(labels, expected)


def test_no_transform_sees_the_positions_of_parts(coco):
    """What a transform could see of them, at any time."""
    seen = []

    def look(results: dict) -> None:
        seen.append(results["keypoints"].copy())
        seen.append(results["keypoints_visible"].copy())

    dataset = build(target=dict(coco, labels="parts"), pipeline=[look])
    with pytest.raises(RuntimeError, match="returned None"):
        dataset.prepare_data(0)
    assert all((values == 0).all() for values in seen)
    raw = dataset.datasets[0].get_data_info(0)
    assert (raw["keypoints"] == 0).all() and set(raw["keypoints_visible"].flat) == {1}


def test_parts_need_to_know_the_flip(coco):
    pipeline = [*TRAIN_PIPELINE[:-1], dict(type="PackPoseInputs", meta_keys=("id",))]
    dataset = build(target=dict(coco, labels="parts"), pipeline=pipeline)
    with pytest.raises(ValueError, match="'flip' in `meta_keys`"):
        dataset[0]


@pytest.mark.parametrize(
    "kwargs, message",
    [
        (dict(source=dict(labels="none")), "`labels` of 'source'.*'none'"),
        (dict(target=dict(labels="keypoints")), "`labels` of 'target_unlabeled'"),
    ],
)
def test_levels_that_a_domain_cannot_have(coco, kwargs, message):
    kwargs = {domain: dict(coco, **cfg) for domain, cfg in kwargs.items()}
    with pytest.raises(ValueError, match=message):
        build(**kwargs)


# Pseudo-labels


def test_file_round_trip(write_pseudo):
    labels, path = write_pseudo(3, 5, 8)
    read = PseudoLabels.load(path)
    assert (read.joints, read.ids) == (labels.joints, labels.ids)
    for name in ("keypoints", "confidence", "scores"):
        np.testing.assert_array_equal(getattr(read, name), getattr(labels, name))


def test_most_confident_people_come_first(write_pseudo):
    labels, _ = write_pseudo(*range(10))
    best = labels.most_confident(0.3)
    assert len(best) == 3
    order = np.argsort(-labels.scores)[:3]
    assert best.ids == tuple(order)
    np.testing.assert_array_equal(best.keypoints, labels.keypoints[order])
    assert len(labels.most_confident(0.01)) == 1
    with pytest.raises(ValueError, match="in \\(0, 1\\]"):
        labels.most_confident(0)


def test_pseudo_labels_take_the_place_of_the_labels(coco, mpii, write_pseudo):
    labels, path = write_pseudo(10, 30, 40)  # ids of COCO-format people
    dataset = build(path, threshold=0.5, source=mpii, target=coco)
    assert dict(zip(dataset.domains, dataset.lens, strict=True)) == dict(
        source=10, target_pseudo=3, target_unlabeled=3
    )
    columns = [name_ids(dataset)[name] for name in JOINTS]
    for i in range(3):
        info = dataset.get_data_info(10 + i)
        assert info["id"] == labels.ids[i]
        np.testing.assert_allclose(
            info["keypoints"][0, columns], labels.keypoints[i], rtol=1e-6
        )
        visible = np.zeros(16)
        visible[columns] = labels.confidence[i] >= 0.5
        np.testing.assert_array_equal(info["keypoints_visible"][0], visible)
    rest = {dataset.get_data_info(13 + i)["id"] for i in range(3)}
    assert rest == {20, 50, 60}


def test_pseudo_samples_are_packed_and_the_others_unlabeled(mpii, write_pseudo):
    _, path = write_pseudo(0, 4, 7)
    dataset = build(path, target=mpii, pipeline=TRAIN_PIPELINE)
    for i in range(len(dataset)):
        sample = dataset[i]["data_samples"]
        assert ("gt_fields" in sample) == (sample.domain == "target_pseudo")
    weights = dataset[0]["data_samples"].gt_instance_labels.keypoint_weights
    assert isinstance(weights, torch.Tensor) and 0 < weights.sum() <= 3


def test_all_people_with_pseudo_labels_leave_no_unlabeled_domain(coco, write_pseudo):
    _, path = write_pseudo(10, 20, 30, 40, 50, 60)
    assert build(path, target=coco).domains == ["target_pseudo"]


def test_labels_are_better_than_pseudo_labels(coco, write_pseudo):
    _, path = write_pseudo(10, 20, 30, 40, 50)
    dataset = build(path, target=coco, labeled_target=dict(count=2))
    ids = {
        name: {part.get_data_info(i)["id"] for i in range(len(part))}
        for name, part in zip(dataset.domains, dataset.datasets, strict=True)
    }
    assert ids["target_pseudo"] == {10, 20, 30, 40, 50} - ids["target_labeled"]
    assert ids.get("target_unlabeled", set()) == {60} - ids["target_labeled"]


def test_a_domain_with_no_samples_is_not_used(coco, mpii, write_pseudo):
    _, path = write_pseudo(10, 30)
    dataset = build(path, source=mpii, target=coco)

    class Sampler:
        seed, epoch, rank, world_size, shuffle = 0, 0, 0, 1, True

    Sampler.dataset = dataset
    counts = dict(source=2, target_pseudo=1, target_unlabeled=0)
    sampler = MixedDomainBatchSampler(Sampler(), 3, counts)
    assert len(sampler) == 5
    for batch in sampler:
        domains = [dataset.domain_of(i) for i in batch]
        assert domains == ["source", "source", "target_pseudo"]


def edit(path: str, change) -> None:
    content = json.loads(Path(path).read_text())
    change(content)
    Path(path).write_text(json.dumps(content))


@pytest.mark.parametrize(
    "change, message",
    [
        (lambda c: c.pop("joints"), "needs `joints` and `annotations`"),
        (lambda c: c["annotations"][1].pop("score"), "annotation 30 .*needs an id"),
        (lambda c: c["annotations"][1]["keypoints"].pop(), "annotation 30 .*3 joints"),
        (lambda c: c["annotations"][1].update(score=float("nan")), "30 .*not finite"),
        (
            lambda c: c["annotations"][1].update(id=10),
            "several annotations of the same",
        ),
        (lambda c: c["annotations"][1].update(id=31), r"such as \[31\]"),
        (lambda c: c.update(joints=["a", "b", "c"]), r"pseudo-labels of \['a'"),
    ],
)
def test_bad_files(coco, write_pseudo, change, message):
    _, path = write_pseudo(10, 30)
    edit(path, change)
    with pytest.raises((AnnotationError, ValueError), match=message):
        build(path, target=coco)


def test_missing_file_and_missing_target(coco, mpii, tmp_path, write_pseudo):
    with pytest.raises(FileNotFoundError, match="pseudo_label.py writes one"):
        build(str(tmp_path / "none.json"), target=coco)
    _, path = write_pseudo(10)
    with pytest.raises(ValueError, match="no unlabeled target"):
        build(path, source=coco)
