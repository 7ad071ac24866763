"""Which people of an annotation file are used, with which boxes and labels."""

import json
from pathlib import Path

import numpy as np
import pytest
from annotation_changes import joints, third, third_image_entry, third_without
from tiny_domains import COCO_LIMBS, MPII_LIMBS, TRAIN_PIPELINE, coco_config, edit_json

from mmpose_da.datasets import AnnotationError, Labels, MixedDomainDataset, people

NAN, INF = float("nan"), float("inf")
OUTSIDE, NO_JOINT = "with a box of no area in the image", "without a labeled joint"


LEFT_OUT = {
    # change of the file, why annotation 30 is left out of a labeled domain, and of one
    # without labels (None if it is not)
    "box of no area": (third(bbox=[8, 8, 0, 64]), OUTSIDE, OUTSIDE),
    "box of less": (third(bbox=[8, 8, -4, 64]), OUTSIDE, OUTSIDE),
    "box outside of the image": (third(bbox=[90, 8, 64, 64]), OUTSIDE, OUTSIDE),
    "infinite box": (third(bbox=[INF, 8, 64, 64]), OUTSIDE, OUTSIDE),
    "image of one pixel": (third_image_entry(width=1, height=1), OUTSIDE, OUTSIDE),
    "crowd": (third(iscrowd=1), "of a crowd", "of a crowd"),
    "no box": (third_without("bbox"), "without a box", "without a box"),
    "no joints": (third_without("keypoints"), "without joints", None),
    "no labeled joint": (third(keypoints=[0] * 51), NO_JOINT, None),
    "no labeled joint, counted as 17": (
        third(keypoints=joints(**{f"j{i}": (9, 9, 0) for i in range(17)})),
        NO_JOINT,
        None,
    ),
    "all joints left of the image": (
        third(keypoints=joints(**{f"j{i}": (-9, -9, 2) for i in range(17)})),
        "rejected by CocoDataset",
        None,
    ),
    "of a thing": (
        lambda c: (
            c.update(
                categories=[
                    dict(id=1, name="person", keypoints=["nose"]),
                    dict(id=3, name="car"),
                ]
            ),
            third(category_id=3)(c),
        ),
        "of a category without joints",
        "of a category without joints",
    ),
    "joints that are broken, in a domain without labels": (
        third(keypoints=[NAN, "a", [1]]),
        AnnotationError,
        None,
    ),
    # not left out
    "labeled joints, counted as 0": (
        third(keypoints=joints(), num_keypoints=0),
        None,
        None,
    ),
    "no count, no area, no crowd": (
        lambda c: [third_without(k)(c) for k in ("num_keypoints", "area", "iscrowd")],
        None,
        None,
    ),
    "box partly outside of the image": (third(bbox=[-5, 60, 30, 99]), None, None),
    "numbers far away": (third(keypoints=joints(j4=(1e30, -1e30, 2))), None, None),
    "ids as text": (third(id="thirty"), None, None),
}


@pytest.mark.parametrize("change, labeled, unlabeled", LEFT_OUT.values(), ids=LEFT_OUT)
def test_annotation_is_left_out_and_listed(coco, change, labeled, unlabeled):
    edit_json(coco["ann_file"], change)
    for role, expected in (("source", labeled), ("target", unlabeled)):
        if expected is AnnotationError:
            with pytest.raises(AnnotationError, match="annotation 30"):
                MixedDomainDataset("MpiiDataset", **{role: coco})
            continue
        dataset = MixedDomainDataset(
            "MpiiDataset", **{role: coco}, pipeline=TRAIN_PIPELINE
        )
        (left_out,) = dataset.left_out.values()
        found = [(annotation.id, annotation.reason) for annotation in left_out]
        assert found == ([] if expected is None else [(30, expected)])
        assert len(dataset) == 6 - len(found)
        for index in range(len(dataset)):
            assert dataset[index]["inputs"].shape == (3, 64, 64)


@pytest.mark.parametrize(
    "change, reason",
    [
        (third(scale=0.0), OUTSIDE),
        (third(scale=-1.0), OUTSIDE),
        (third(joints_vis=[0] * 16), NO_JOINT),
    ],
)
def test_mpii_annotation_is_left_out_and_listed(mpii, change, reason):
    edit_json(mpii["ann_file"], change)
    dataset = MixedDomainDataset("MpiiDataset", source=mpii)
    assert dataset.left_out == dict(source=[(2, 3, reason)])
    assert len(dataset) == 9


def test_unlabeled_people_do_not_depend_on_labels(coco):
    """Without joints, without visible joints, with the wrong number of them."""
    expected = MixedDomainDataset("MpiiDataset", target=coco).lens

    def spoil(content):
        del content["annotations"][0]["keypoints"]
        content["annotations"][1].update(keypoints=[0] * 51, num_keypoints=0)
        content["annotations"][2]["keypoints"] = [1, 2, 3]

    edit_json(coco["ann_file"], spoil)
    assert MixedDomainDataset("MpiiDataset", target=coco).lens == expected


def test_a_file_of_boxes_is_enough_without_labels(tmp_path, coco):
    def boxes_only(content):
        del content["categories"]
        keys = ("id", "image_id", "category_id", "bbox")
        content["annotations"] = [
            {key: annotation[key] for key in keys}
            for annotation in content["annotations"]
        ]

    edit_json(coco["ann_file"], boxes_only)
    dataset = MixedDomainDataset(
        "CocoDataset", target=coco_config(tmp_path / "coco"), pipeline=TRAIN_PIPELINE
    )
    assert dataset.lens == [6]
    assert dataset[5]["inputs"].shape == (3, 64, 64)


def test_joints_may_be_written_as_triples(coco):
    """As in MMPose's annotations of RHD."""
    joints = MixedDomainDataset("MpiiDataset", coco).datasets[0][0]["keypoints"]

    def nest(content):
        for annotation in content["annotations"]:
            flat = annotation.get("keypoints", [])
            annotation["keypoints"] = [flat[i : i + 3] for i in range(0, len(flat), 3)]

    edit_json(coco["ann_file"], nest)
    (nested,) = MixedDomainDataset("MpiiDataset", coco).datasets
    np.testing.assert_array_equal(nested[0]["keypoints"], joints)


def test_class_that_reads_more_than_a_box_gets_it_empty(tmp_path):
    content = dict(
        images=[dict(id=1, file_name="1.jpg", width=224, height=224)],
        annotations=[
            dict(id=7, image_id=1, category_id=1, iscrowd=0, bbox=[0, 0, 224, 224])
        ],
        categories=[dict(id=1, name="hand")],
    )
    path = tmp_path / "freihand.json"
    path.write_text(json.dumps(content))
    target = dict(type="FreiHandDataset", ann_file=str(path))
    (hands,) = MixedDomainDataset("FreiHandDataset", target=target).datasets
    assert len(hands) == 1 and "segmentation" not in hands.get_data_info(0)


def test_parts_are_the_labeled_joints_inside_the_box(coco, mpii):
    def change(content):
        joints = content["annotations"][0]["keypoints"]
        joints[3 * COCO_LIMBS[0] + 2] = 0  # not labeled
        joints[3 * COCO_LIMBS[1] : 3 * COCO_LIMBS[1] + 2] = [4.0, 40.0]  # outside

    edit_json(coco["ann_file"], change)
    target = dict(coco, labels="parts")
    dataset = MixedDomainDataset("MpiiDataset", mpii, target, pipeline=TRAIN_PIPELINE)
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


# Boxes


def boxes_of(dataset: MixedDomainDataset, domain: str) -> dict:
    """Box, center and scale of each person of a domain, by image."""
    found = {}
    for i in range(len(dataset)):
        if dataset.domain_of(i) == domain:
            info = dataset[i]
            rest = [info[key] for key in ("bbox_center", "bbox_scale") if key in info]
            found[info["img_id"]] = np.concatenate([info["bbox"], *rest], axis=1)[0]
    return found


def test_box_jitter_moves_the_boxes_of_the_unlabeled_domain_alone(coco, mpii):
    jitter = dict(shift=0.1, scale=0.2)

    def narrow(content):
        for annotation in content["annotations"]:
            annotation["bbox"] = [20.0, 8.0, 24.0, 64.0]

    edit_json(coco["ann_file"], narrow)
    for target in (coco, mpii):
        exact = boxes_of(
            MixedDomainDataset("MpiiDataset", target=target), "target_unlabeled"
        )
        jittered = dict(target, box_jitter=jitter)
        dataset = MixedDomainDataset("MpiiDataset", target=jittered)
        moved = boxes_of(dataset, "target_unlabeled")
        again = MixedDomainDataset("MpiiDataset", target=jittered)
        other = MixedDomainDataset(
            "MpiiDataset", target=dict(target, box_jitter=dict(jitter, seed=1))
        )
        assert moved.keys() == exact.keys()
        shifts, factors = [], []
        for image, box in moved.items():
            np.testing.assert_array_equal(
                box, boxes_of(again, "target_unlabeled")[image]
            )
            assert not np.allclose(box, boxes_of(other, "target_unlabeled")[image])
            size, new = exact[image][2:4] - exact[image][:2], box[2:4] - box[:2]
            shift = (box[:2] + box[2:4] - exact[image][:2] - exact[image][2:4]) / 2
            np.testing.assert_allclose(*(new / size), rtol=1e-4)  # one factor
            shifts.append(shift / size)
            factors.append((new / size)[0])
            if len(box) > 4:  # MMPose reads the center and scale of MPII
                np.testing.assert_allclose(box[4:6] - exact[image][4:6], shift, 1e-3)
                np.testing.assert_allclose(box[6:] / exact[image][6:], new / size, 1e-4)
        assert 0.03 < np.abs(shifts).max() <= 0.1 + 1e-6
        assert 1 / 1.2 - 1e-6 <= min(factors) < 0.98 < 1.02 < max(factors) <= 1.2 + 1e-6

        ssda = MixedDomainDataset(
            "MpiiDataset", target=jittered, labeled_target=dict(count=2)
        )
        labeled = boxes_of(ssda, "target_labeled")
        assert len(labeled) == 2
        for image, box in labeled.items():
            np.testing.assert_array_equal(box, exact[image])
        for image, box in boxes_of(ssda, "target_unlabeled").items():
            np.testing.assert_array_equal(box, moved[image])


def detections(coco: dict) -> list:
    """One detection in each image, five pixels from the annotated box, and two more."""
    images = json.loads(Path(coco["ann_file"]).read_text())["images"]
    found = [
        dict(image_id=image["id"], category_id=1, bbox=[13, 13, 50, 60], score=0.9)
        for image in images
    ]
    return [*found, dict(found[0], score=0.2), dict(found[0], category_id=3)]


def test_detections_stand_in_for_the_boxes_of_the_unlabeled_domain(tmp_path, coco):
    path = tmp_path / "detections.json"
    path.write_text(json.dumps(detections(coco)))
    target = dict(coco, bbox_file=str(path))
    dataset = MixedDomainDataset("MpiiDataset", target=target, pipeline=TRAIN_PIPELINE)
    assert dataset.lens == [7]
    assert "gt_fields" not in dataset[0]["data_samples"]
    plain = MixedDomainDataset("MpiiDataset", target=target)
    np.testing.assert_array_equal(plain[0]["bbox"], [[13, 13, 63, 73]])
    strong = dict(target, filter_cfg=dict(bbox_score_thr=0.5))
    assert MixedDomainDataset("MpiiDataset", target=strong).lens == [6]

    # Labels are of the annotated people, and no image is in both domains.
    ssda = MixedDomainDataset(
        "MpiiDataset", target=strong, labeled_target=dict(count=2)
    )
    assert ssda.lens == [2, 4]
    labeled = boxes_of(ssda, "target_labeled")
    for box in labeled.values():
        np.testing.assert_array_equal(box, [8, 8, 72, 72])
    assert not labeled.keys() & boxes_of(ssda, "target_unlabeled").keys()

    # The annotation file needs images only.
    edit_json(coco["ann_file"], lambda content: content.update(annotations=[]))
    assert MixedDomainDataset("MpiiDataset", target=strong).lens == [6]


@pytest.mark.parametrize("source, warns", [("keypoints", True), ("mask", False)])
def test_boxes_made_from_labels_are_warned_of(coco, monkeypatch, source, warns):
    warnings = []
    monkeypatch.setattr(
        people, "print_log", lambda message, logger, level: warnings.append(message)
    )
    edit_json(coco["ann_file"], lambda c: c.update(info=dict(bbox_source=source)))
    MixedDomainDataset("MpiiDataset", source=coco)
    assert not warnings  # labels may be used there
    MixedDomainDataset("MpiiDataset", target=coco)
    MixedDomainDataset("MpiiDataset", target=dict(coco, box_jitter=dict(shift=0.3)))
    if not warns:
        assert not warnings
        return
    exact, jittered = warnings
    assert "computed from the joints" in exact and "box_jitter=dict()" in exact
    assert "computed from the joints" in jittered and "up to 0.3" in jittered


def test_a_domain_without_people_is_named(coco):
    edit_json(coco["ann_file"], lambda content: content["annotations"].clear())
    with pytest.raises(AnnotationError, match="annotations.json' has no person"):
        MixedDomainDataset("MpiiDataset", source=coco)
