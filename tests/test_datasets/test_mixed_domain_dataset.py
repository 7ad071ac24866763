import json
from pathlib import Path

import numpy as np
import pytest
from tiny_domains import (
    COCO_LIMBS,
    MPII_LIMBS,
    TRAIN_PIPELINE,
    coco_config,
    edit_json,
)

from mmpose_da.datasets import AnnotationError, MixedDomainDataset, people


def images_of(dataset: MixedDomainDataset, domain: str) -> set:
    samples = [dataset[i]["data_samples"] for i in range(len(dataset))]
    return {s.img_path for s in samples if s.domain == domain}


def test_settings_have_their_domains(coco, mpii):
    def domains(**kwargs):
        dataset = MixedDomainDataset("MpiiDataset", pipeline=TRAIN_PIPELINE, **kwargs)
        return dict(zip(dataset.domains, dataset.lens, strict=True))

    assert domains(source=coco) == dict(source=6)
    assert domains(source=coco, target=mpii) == dict(source=6, target_unlabeled=10)
    assert domains(source=coco, target=mpii, labeled_target=dict(ratio=0.3)) == dict(
        source=6, target_labeled=3, target_unlabeled=7
    )
    assert domains(target=mpii, labeled_target=dict(ratio=1.0)) == dict(
        target_labeled=10
    )
    assert domains(target=mpii) == dict(target_unlabeled=10)


def test_joints_are_mapped_by_name_and_missing_ones_have_weight_0(coco):
    dataset = MixedDomainDataset("MpiiDataset", source=coco)
    annotations = json.loads(Path(coco["ann_file"]).read_text())["annotations"]
    given = np.array(annotations[2]["keypoints"]).reshape(17, 3)
    info = dataset[2]
    joints, visible = info["keypoints"][0], info["keypoints_visible"][0, :, 0]

    np.testing.assert_allclose(joints[MPII_LIMBS], given[COCO_LIMBS, :2], rtol=1e-6)
    pelvis, thorax = given[[11, 12], :2].mean(0), given[[5, 6], :2].mean(0)
    np.testing.assert_allclose(joints[[6, 7]], [pelvis, thorax], rtol=1e-6)
    expected = np.ones(16)
    expected[[8, 9]] = 0  # upper neck and head top
    np.testing.assert_array_equal(visible, expected)
    assert info["flip_indices"] == dataset.metainfo["flip_indices"]


def test_midpoint_of_an_unlabelled_joint_has_weight_0(coco):
    def hide_left_hip(content):
        content["annotations"][0]["keypoints"][3 * 11 : 3 * 12] = [0, 0, 0]

    edit_json(coco["ann_file"], hide_left_hip)
    visible = MixedDomainDataset("MpiiDataset", source=coco)[0]["keypoints_visible"]
    assert visible[0, 6, 0] == 0 and visible[0, 7, 0] == 1


def test_unlabeled_samples_carry_no_label(coco, mpii):
    dataset = MixedDomainDataset(
        "MpiiDataset", coco, mpii, dict(count=4), TRAIN_PIPELINE
    )
    for i in range(len(dataset)):
        sample = dataset[i]["data_samples"]
        labeled = sample.domain != "target_unlabeled"
        assert sample.domain == dataset.domain_of(i)
        assert ("gt_fields" in sample) == labeled
        assert ("gt_instance_labels" in sample) == labeled
        assert ("keypoints" in sample.gt_instances) == labeled


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


@pytest.mark.parametrize("share", [dict(ratio=0.25), dict(count=2)])
def test_target_is_split_by_image(tmp_path, coco, mpii, share):
    # two people in each image
    def double(content):
        content["annotations"] += [
            dict(a, id=a["id"] + 1) for a in content["annotations"]
        ]

    edit_json(coco["ann_file"], double)

    def split(seed):
        dataset = MixedDomainDataset(
            "MpiiDataset",
            mpii,
            coco,
            dict(share, seed=seed),
            TRAIN_PIPELINE,
        )
        labeled = images_of(dataset, "target_labeled")
        assert len(labeled) == 2  # 0.25 of 6, rounded
        assert not labeled & images_of(dataset, "target_unlabeled")
        assert dataset.lens[1:] == [4, 8]
        return labeled

    assert split(0) == split(0)
    assert len({frozenset(split(seed)) for seed in range(5)}) > 1


def test_missing_annotation_file_is_named(coco):
    coco["ann_file"] = "/nowhere/annotations.json"
    with pytest.raises(FileNotFoundError, match="/nowhere/annotations.json.*source"):
        MixedDomainDataset("MpiiDataset", source=coco)


def test_image_that_cannot_be_decoded_is_named(coco):
    image = Path(coco["data_prefix"]["img"]) / "000002.png"
    image.write_bytes(b"no image")
    dataset = MixedDomainDataset("MpiiDataset", coco, pipeline=TRAIN_PIPELINE)
    with pytest.raises(RuntimeError, match="annotation 20 .*source.*000002.png"):
        dataset[1]


def test_wrong_number_of_joints_is_named(coco, mpii):
    def cut_coco(content):
        content["annotations"][3]["keypoints"] = [1.0] * 48

    edit_json(coco["ann_file"], cut_coco)
    with pytest.raises(ValueError, match="annotation 40 .* 16 joints.* 17"):
        MixedDomainDataset("MpiiDataset", source=coco)

    def cut_mpii(content):
        content[2]["joints"] = content[2]["joints"][:15]
        content[2]["joints_vis"] = content[2]["joints_vis"][:15]

    edit_json(mpii["ann_file"], cut_mpii)
    with pytest.raises(ValueError, match="annotation 2 .* 15 joints.* 16"):
        MixedDomainDataset("MpiiDataset", source=mpii)


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


def test_empty_domain_is_named(coco):
    edit_json(coco["ann_file"], lambda content: content["annotations"].clear())
    with pytest.raises(ValueError, match="annotations.json' has no person"):
        MixedDomainDataset("MpiiDataset", source=coco)
    with pytest.raises(ValueError, match="needs a source, a target"):
        MixedDomainDataset("MpiiDataset")


@pytest.mark.parametrize(
    "share, message",
    [
        (dict(ratio=0.0), r"ratio must be in \(0, 1\]"),
        (dict(ratio=1.5), r"ratio must be in \(0, 1\]"),
        (dict(count=11), "count must be from 1 to 10"),
        (dict(count=10), "takes all 10 images"),
        (dict(), "a ratio or a count"),
        (dict(ratio=0.5, count=2), "a ratio or a count"),
    ],
)
def test_impossible_shares(coco, mpii, share, message):
    with pytest.raises(ValueError, match=message):
        MixedDomainDataset("MpiiDataset", coco, mpii, share)


def test_wrong_arguments(coco, mpii):
    with pytest.raises(ValueError, match="there is no target"):
        MixedDomainDataset("MpiiDataset", coco, labeled_target=dict(ratio=0.5))
    with pytest.raises(ValueError, match="'source' has a pipeline"):
        MixedDomainDataset("MpiiDataset", dict(coco, pipeline=TRAIN_PIPELINE))
    with pytest.raises(ValueError, match="NoDataset"):
        MixedDomainDataset("NoDataset", coco)
    with pytest.raises(ValueError, match="joint 'left_tail'"):
        MixedDomainDataset(
            "MpiiDataset", dict(coco, joint_map=dict(pelvis="left_tail"))
        )


def test_same_joints_are_left_alone(tmp_path, coco):
    del coco["joint_map"]
    info = MixedDomainDataset("CocoDataset", source=coco)[0]
    raw = json.loads(Path(coco["ann_file"]).read_text())["annotations"][0]
    given = np.array(raw["keypoints"]).reshape(17, 3)[:, :2]
    np.testing.assert_allclose(info["keypoints"][0], given, rtol=1e-6)
    assert coco == coco_config(tmp_path / "coco")


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


def detections(coco: dict, **changes) -> list:
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


@pytest.mark.parametrize(
    "content, message",
    [
        ("{", "detections.json"),
        ("{}", "must be a list of detections"),
        ('[{"image_id": 1, "category_id": 1, "score": 1}]', "detection 0 has no"),
        (
            '[{"image_id": 77, "category_id": 1, "score": 1, "bbox": [1, 2, 3, 4]}]',
            "detection 0 has image_id=77",
        ),
        (
            '[{"image_id": 1, "category_id": 1, "score": 1, "bbox": [1, 2, 0, 4]}]',
            "no person that can be used: 1 with a box of no area",
        ),
    ],
)
def test_bad_detections_are_named(tmp_path, coco, content, message):
    path = tmp_path / "detections.json"
    path.write_text(content)
    with pytest.raises(AnnotationError, match=message):
        MixedDomainDataset("MpiiDataset", target=dict(coco, bbox_file=str(path)))


def test_bad_boxes_of_a_config_are_named(tmp_path, coco, mpii):
    missing = str(tmp_path / "missing.json")
    with pytest.raises(FileNotFoundError, match="missing.json"):
        MixedDomainDataset("MpiiDataset", target=dict(coco, bbox_file=missing))
    (tmp_path / "empty.json").write_text("[]")
    empty = str(tmp_path / "empty.json")
    with pytest.raises(AnnotationError, match="annotation file in COCO format"):
        MixedDomainDataset("MpiiDataset", target=dict(mpii, bbox_file=empty))
    with pytest.raises(ValueError, match="are for the target"):
        MixedDomainDataset("MpiiDataset", source=dict(coco, bbox_file=empty))
    with pytest.raises(ValueError, match="box_jitter.shift must be at least 0"):
        MixedDomainDataset("MpiiDataset", target=dict(coco, box_jitter=dict(shift=-1)))
    with pytest.raises(ValueError, match="must be a dict with a shift"):
        MixedDomainDataset("MpiiDataset", target=dict(coco, box_jitter=dict(size=1)))


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
