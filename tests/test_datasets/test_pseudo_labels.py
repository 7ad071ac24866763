"""Files of pseudo-labels."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tiny_domains import edit_json

from mmpose_da.datasets import AnnotationError, MixedDomainDataset, PseudoLabels
from mmpose_da.datasets.pseudo_labels import people_hash


def test_file_round_trip(write_pseudo):
    labels, path = write_pseudo(3, 5, 8)
    read = PseudoLabels.load(path)
    assert (read.joints, read.ids) == (labels.joints, labels.ids)
    for name in ("keypoints", "confidence", "scores"):
        np.testing.assert_array_equal(getattr(read, name), getattr(labels, name))


def test_labels_of_another_file_are_an_error(coco, write_pseudo):
    """Even if it has all of their ids."""
    labels, path = write_pseudo(10, 30)
    dataset = MixedDomainDataset("MpiiDataset", target=coco).datasets[0]

    def build():
        return MixedDomainDataset(
            "MpiiDataset", target=coco, pseudo_target=dict(ann_file=path)
        )

    assert build().lens[0] == 2  # a file without hashes
    replace(labels, made_from=dict(people=people_hash(dataset))).save(path)
    assert PseudoLabels.load(path).made_from == dict(people=people_hash(dataset))
    assert build().lens[0] == 2
    edit_json(coco["ann_file"], lambda content: content.update(info=dict(year=2020)))
    with pytest.raises(
        AnnotationError, match=r"pseudo\.json' .*another annotation file"
    ):
        build()


def test_boxes_of_another_detector_are_other_people(coco, tmp_path):
    dataset = MixedDomainDataset("MpiiDataset", target=coco).datasets[0]
    before = people_hash(dataset)
    dataset.bbox_file = str(tmp_path / "boxes.json")
    Path(dataset.bbox_file).write_text("[]")
    assert people_hash(dataset) != before


def test_most_confident_people_come_first(write_pseudo):
    labels, _ = write_pseudo(*range(10))
    best = labels.most_confident(0.3)
    assert len(best) == 3
    order = np.argsort(-labels.scores)[:3]
    assert best.ids == tuple(order)
    np.testing.assert_array_equal(best.keypoints, labels.keypoints[order])
    rest = np.argsort(-labels.scores)[3:]
    assert best.dropped.ids == tuple(rest)
    np.testing.assert_array_equal(best.dropped.scores, labels.scores[rest])
    assert labels.most_confident(1.0).dropped is None
    assert len(labels.most_confident(0.01)) == 1
    with pytest.raises(ValueError, match="in \\(0, 1\\]"):
        labels.most_confident(0)


def test_nothing_trains_on_dropped_people(coco, write_pseudo):
    labels, path = write_pseudo(10, 30, 40)
    best = labels.most_confident(1 / 3)
    best.save(path)
    read = PseudoLabels.load(path)
    assert read.ids == best.ids and read.dropped.ids == best.dropped.ids
    np.testing.assert_array_equal(read.dropped.keypoints, best.dropped.keypoints)
    dataset = MixedDomainDataset(
        "MpiiDataset", target=coco, pseudo_target=dict(ann_file=path)
    )
    found = {}
    for i in range(len(dataset)):
        people = found.setdefault(dataset.domain_of(i), set())
        people.add(dataset.get_data_info(i)["id"])
    assert found["target_pseudo"] == set(best.ids)
    assert found["target_unlabeled"] >= set(best.dropped.ids)


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
        (
            lambda c: c.update(dropped=[c["annotations"][0]]),
            "several annotations of the same",
        ),
        (lambda c: c["annotations"][1].update(id=31), r"such as \[31\]"),
        (lambda c: c.update(joints=["a", "b", "c"]), r"pseudo-labels of \['a'"),
    ],
)
def test_bad_files(coco, write_pseudo, change, message):
    _, path = write_pseudo(10, 30)
    edit_json(path, change)
    with pytest.raises((AnnotationError, ValueError), match=message):
        MixedDomainDataset(
            "MpiiDataset", target=coco, pseudo_target=dict(ann_file=path)
        )
