"""3D people: annotations, depth, and the way to the codec's labels."""

import json
import logging
from pathlib import Path

import numpy as np
import pytest
from mmpose.registry import DATASETS
from tiny_domains import COCO_MIDPOINTS, edit_json
from tiny_domains_3d import CODEC, PIPELINE, pose3d_config, write_pose3d

from mmpose_da.datasets import (
    MixedDomainDataset,
    Pose3dDataset,
    mixed_domain_dataset,
)
from mmpose_da.evaluation.camera_mpjpe import to_camera

LEFT_KNEE, RIGHT_KNEE = 5, 2


@pytest.fixture
def people(tmp_path) -> dict:
    write_pose3d(tmp_path / "pose3d", 6)
    return pose3d_config(tmp_path / "pose3d")


def annotations_of(cfg: dict) -> list[dict]:
    return json.loads(Path(cfg["ann_file"]).read_text())["annotations"]


def test_depth_is_weak_perspective_at_the_root(people):
    dataset = Pose3dDataset(**{k: v for k, v in people.items() if k != "type"})
    info = dataset.get_data_info(2)
    joints = np.reshape(annotations_of(people)[2]["keypoints_3d"], (17, 3))
    fx, fy, _, _ = info["camera"]
    for k in range(17):
        expected = (joints[k, 2] - joints[0, 2]) * (fx * fy) ** 0.5 / joints[0, 2]
        assert info["depth"][0, k] == pytest.approx(expected, abs=1e-4)
    np.testing.assert_allclose(info["keypoints_cam"][0], joints, rtol=1e-6)
    assert info["depth"].shape == info["depth_visible"].shape == (1, 17)


def test_labels_give_the_3d_joints_back(people):
    """With the camera and the depth of the root, which are those of the labels."""
    dataset = Pose3dDataset(**{k: v for k, v in people.items() if k != "type"})
    for i in range(len(dataset)):
        info = dataset.get_data_info(i)
        points = np.concatenate([info["keypoints"], info["depth"][..., None]], axis=-1)
        truth = info["keypoints_cam"]
        found = to_camera(points, info["camera"], truth[:, 0, 2])
        np.testing.assert_allclose(found, truth, atol=0.05)  # mm


def test_codec_labels_follow_the_crop_and_the_mirror(people):
    dataset = MixedDomainDataset("Pose3dDataset", source=people, pipeline=PIPELINE)
    plain = Pose3dDataset(**{k: v for k, v in people.items() if k != "type"})
    flips = dataset.metainfo["flip_indices"]
    seen = set()
    for i in range(6):
        for _ in range(4):
            sample = dataset[i]["data_samples"]
            meta, labels = sample.metainfo, sample.gt_instance_labels
            depth = plain.get_data_info(i)["depth"][0]
            if meta["flip"]:
                depth = depth[flips]
            factor = meta["input_size"][0] / meta["input_scale"][0]
            half = CODEC["input_size"][0] / 2  # of the default range
            expected = depth * factor / half
            inside = np.abs(expected) <= 1
            np.testing.assert_allclose(
                labels.keypoint_labels[0, inside, 2], expected[inside], atol=1e-5
            )
            np.testing.assert_array_equal(labels.depth_weights[0], inside)
            seen.add(meta["flip"])
    assert seen == {True, False}


def test_depth_is_mapped_like_keypoints(people):
    """To MPII's joints, of which the pelvis is the root and a midpoint another."""
    joint_map = dict(
        pelvis="root", right_ankle="right_foot", upper_neck=("neck_base", "thorax")
    )
    dataset = MixedDomainDataset(
        "MpiiDataset", source=dict(people, joint_map=joint_map)
    )
    info = dataset[3]
    given = Pose3dDataset(
        **{k: v for k, v in people.items() if k != "type"}
    ).get_data_info(3)["depth"][0]
    ids = dataset.metainfo["keypoint_name2id"]
    assert info["depth"].shape == (1, 16)
    assert info["depth"][0, ids["right_ankle"]] == given[3]
    assert info["depth"][0, ids["upper_neck"]] == pytest.approx(given[8:10].mean())
    assert info["depth_visible"][0, ids["head_top"]] == 0
    assert info["depth_visible"][0, ids["left_knee"]] == 1


def test_raw_depth_never_becomes_a_label(people):
    pipeline = [one for one in PIPELINE if one["type"] != "TransformDepth"]
    dataset = MixedDomainDataset("Pose3dDataset", source=people, pipeline=pipeline)
    with pytest.raises(RuntimeError, match="annotation 1 .*put .*TransformDepth"):
        dataset[0]


@pytest.fixture
def warnings(monkeypatch) -> list[str]:
    """The warnings of the datasets."""
    found = []

    def print_log(message, logger, level=logging.INFO):
        if level == logging.WARNING:
            found.append(message)

    monkeypatch.setattr(mixed_domain_dataset, "print_log", print_log)
    return found


def test_a_domain_without_any_depth_is_a_warning(people, tmp_path, warnings):
    flat = pose3d_config(tmp_path / "flat")
    write_pose3d(tmp_path / "flat", 2)

    def drop(content):
        for annotation in content["annotations"]:
            annotation.pop("keypoints_3d")

    edit_json(flat["ann_file"], drop)

    def build(**kwargs):
        MixedDomainDataset("Pose3dDataset", **kwargs)

    build(source=[flat, people], target=flat, pipeline=PIPELINE)
    build(source=flat)  # no labels of 3D joints are made
    assert not warnings
    build(source=flat, target=people, pipeline=PIPELINE)
    [warning] = warnings
    assert "no person of the domain 'source' has depth" in warning
    assert f"in '{flat['ann_file']}'" in warning


def test_people_without_depth_train_in_the_plane(coco):
    names = dict(
        root=("left_hip", "right_hip"), thorax=COCO_MIDPOINTS["thorax"], nose="nose"
    )
    names.pop("nose")
    source = dict(coco, joint_map=names)
    dataset = MixedDomainDataset("Pose3dDataset", source=source, pipeline=PIPELINE)
    labels = dataset[0]["data_samples"].gt_instance_labels
    assert labels.keypoint_weights.sum() > 5 and labels.depth_weights.sum() == 0


def test_a_set_with_fewer_joints_and_midpoints(mpii):
    """MPII's 16 joints to 17: the spine is a midpoint."""
    names = dict(
        root="pelvis",
        spine=("pelvis", "thorax"),
        right_foot="right_ankle",
        head="head_top",
    )
    dataset = MixedDomainDataset("Pose3dDataset", source=dict(mpii, joint_map=names))
    info = dataset[0]
    ids = dataset.metainfo["keypoint_name2id"]
    assert info["flip_indices"] == dataset.metainfo["flip_indices"]
    points = info["keypoints"][0]
    np.testing.assert_allclose(
        points[ids["spine"]], points[[ids["root"], ids["thorax"]]].mean(0), rtol=1e-5
    )
    assert info["keypoints_visible"][0, ids["neck_base"], 0] == 0


def test_unlabeled_people_have_no_depth(people):
    dataset = MixedDomainDataset("Pose3dDataset", target=people)
    info = dataset[0]
    assert not {"depth", "depth_visible", "keypoints_cam", "camera"} & info.keys()


@pytest.mark.parametrize(
    "change, message",
    [
        (lambda c: c["annotations"][1]["keypoints_3d"].pop(), "annotation 2 .*3 x 17"),
        (
            lambda c: c["annotations"][1].update(keypoints_3d=[float("inf")] * 51),
            "annotation 2 .*finite",
        ),
        (lambda c: c["images"][1].update(camera=[1, 2]), "annotation 2 .*fx, fy, cx"),
        (
            lambda c: c["images"][1].pop("camera"),
            r"annotation 2 in '.*annotations\.json' has keypoints_3d, but .* no camera",
        ),
        (
            lambda c: c["annotations"][1]["keypoints_3d"].__setitem__(2, -5.0),
            "annotation 2 .*behind the camera",
        ),
    ],
)
def test_bad_annotations(people, change, message):
    edit_json(people["ann_file"], change)
    with pytest.raises(Exception, match=message):
        MixedDomainDataset("Pose3dDataset", source=people)


def test_registered():
    assert DATASETS.get("Pose3dDataset") is Pose3dDataset
