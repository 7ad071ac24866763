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

from mmpose_da.datasets import MixedDomainDataset


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
