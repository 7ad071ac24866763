import json
from pathlib import Path

import numpy as np
import pytest
import torch
from annotation_changes import joints, third
from mmengine.logging import MMLogger
from tiny_domains import COCO_LIMBS, MPII_LIMBS, TRAIN_PIPELINE, coco_config, edit_json

from mmpose_da.datasets import AnnotationError, MixedDomainDataset


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


def test_midpoint_of_an_unlabeled_joint_has_weight_0(coco):
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


def test_same_joints_are_left_alone(tmp_path, coco):
    del coco["joint_map"]
    info = MixedDomainDataset("CocoDataset", source=coco)[0]
    raw = json.loads(Path(coco["ann_file"]).read_text())["annotations"][0]
    given = np.array(raw["keypoints"]).reshape(17, 3)[:, :2]
    np.testing.assert_allclose(info["keypoints"][0], given, rtol=1e-6)
    assert coco == coco_config(tmp_path / "coco")


def test_joint_outside_of_the_image_has_weight_0(coco):
    edit_json(coco["ann_file"], third(keypoints=joints(j16=(500, 40, 2))))
    pipeline = [t for t in TRAIN_PIPELINE if not t["type"].startswith("Random")]
    dataset = MixedDomainDataset("MpiiDataset", coco, pipeline=pipeline)
    weights = dataset[2]["data_samples"].gt_instance_labels.keypoint_weights[0]
    expected = dict(zip(MPII_LIMBS, np.array(COCO_LIMBS) != 16, strict=True))
    assert {k: bool(weights[k]) for k in MPII_LIMBS} == expected


def test_each_target_annotation_is_in_one_domain_or_left_out_of_one(coco, mpii):
    def change(content):
        for index in (0, 1, 2, 3):
            extra = dict(content["annotations"][index], id=index, iscrowd=index % 2)
            content["annotations"].append(extra)
        for annotation in content["annotations"][6:]:
            annotation.update(keypoints=[0] * 51)

    edit_json(coco["ann_file"], change)
    dataset = MixedDomainDataset("MpiiDataset", mpii, coco, dict(count=3))
    sizes = dict(zip(dataset.domains, dataset.lens, strict=True))
    targets = ("target_labeled", "target_unlabeled")
    assert sum(sizes[d] + len(dataset.left_out[d]) for d in targets) == 10
    for domain, part in zip(dataset.domains[1:], dataset.datasets[1:], strict=True):
        images = {part.get_data_info(i)["img_id"] for i in range(len(part))}
        assert {a.img_id for a in dataset.left_out[domain]} <= images


def test_left_out_are_in_the_log(coco, tmp_path):
    def change(content):
        for index in range(3):
            content["annotations"][index]["iscrowd"] = 1
        content["annotations"][3]["bbox"] = [0, 0, 0, 0]

    edit_json(coco["ann_file"], change)
    log = tmp_path / "log"
    MMLogger.get_instance("left_out", log_file=str(log), log_level="DEBUG")
    MixedDomainDataset("MpiiDataset", source=coco)
    text = log.read_text()
    assert (
        "domain source: 2 people; left out 4: 3 of a crowd (10, 20, 30), 1 with a box "
        "of no area in the image (40)"
    ) in text


def test_pipeline_that_gives_nothing_is_an_error(coco):
    """MMEngine would silently use another sample instead."""
    dataset = MixedDomainDataset("MpiiDataset", coco, pipeline=[lambda results: None])
    with pytest.raises(RuntimeError, match="annotation 30 .*'source'.*returned None"):
        dataset[2]


# Part labels and pseudo-labels


def build(pseudo_file=None, threshold=0.0, pipeline=(), **kwargs):
    pseudo = dict(ann_file=pseudo_file, threshold=threshold) if pseudo_file else None
    return MixedDomainDataset(
        "MpiiDataset", pseudo_target=pseudo, pipeline=pipeline, **kwargs
    )


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


def test_parts_know_the_flip_whatever_is_packed(coco):
    """The left wrist alone is labeled; in a mirror image it is the right one."""
    content = joints(**{f"j{i}": (0, 0, 0) for i in range(17) if i != 9})
    edit_json(coco["ann_file"], third(keypoints=content))
    pack = dict(type="PackPoseInputs", meta_keys=("id",))
    for prob, wrist in ((0.0, "left_wrist"), (1.0, "right_wrist")):
        flip = dict(type="RandomFlip", prob=prob)
        pipeline = [*TRAIN_PIPELINE[:2], flip, TRAIN_PIPELINE[5], pack]
        dataset = build(target=dict(coco, labels="parts"), pipeline=pipeline)
        [labels] = dataset[2]["data_samples"].gt_instance_labels.part_labels
        index = dataset.metainfo["keypoint_name2id"][wrist]
        assert labels.nonzero().flatten().tolist() == [index]


def test_pseudo_labels_take_the_place_of_the_labels(coco, mpii, write_pseudo):
    labels, path = write_pseudo(10, 30, 40)  # ids of COCO-format people
    dataset = build(path, threshold=0.5, source=mpii, target=coco)
    assert dict(zip(dataset.domains, dataset.lens, strict=True)) == dict(
        source=10, target_pseudo=3, target_unlabeled=3
    )
    ids = dataset.metainfo["keypoint_name2id"]
    columns = [ids[name] for name in labels.joints]
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


# Errors


DATASETS = {
    # arguments that are changed: (where, changes), error and what it says
    "no such file": ("source", dict(ann_file="/no/a.json"), "/no/a.json.*'source'"),
    "no such folder": (
        "source",
        dict(data_prefix=dict(img="/no")),
        "'/no/000001.png' of annotation 10 .*'source'.*data_prefix",
    ),
    "no such class": ("source", dict(type="CocoDatset"), "'source'.*CocoDatset"),
    "no class": ("target", dict(type=None), "'target_unlabeled'"),
    "no such argument": ("source", dict(anfile="a"), "'source'.*anfile"),
    "no dataset": ("target", 3, "'target_unlabeled' must be"),
    "a dataset without joints": (
        "source",
        dict(type="CombinedDataset", metainfo=dict(), datasets=[]),
        "'source'",
    ),
    "not one person a sample": ("source", dict(data_mode="bottomup"), "'topdown'"),
    "the class of another file": (
        "source",
        dict(type="MpiiDataset"),
        "annotations.json': must be a list",
    ),
    "the class of another joint count": (
        "target",
        dict(type="LspDataset"),
        "annotations.json'",
    ),
    "a pipeline of its own": ("source", dict(pipeline=TRAIN_PIPELINE), "a pipeline"),
    "map of an unknown joint": (
        "source",
        dict(joint_map=dict(pelvis="left_tail")),
        "joint 'left_tail', which the definition 'coco'",
    ),
    "map to an unknown joint": (
        "source",
        dict(joint_map=dict(tail="nose")),
        "joint 'tail', which the definition 'mpii'",
    ),
    "map of three joints": (
        "source",
        dict(joint_map=dict(pelvis=("nose", "nose", "nose"))),
        "'pelvis'. must be one joint or two",
    ),
    "map that is none": ("source", dict(joint_map=3), "joint_map must map"),
    "no such joints": ("joints", "Mpii", "joints='Mpii' is not a registered"),
    "joints of a file": ("joints", "../a.py", "joints='../a.py' is not a registered"),
    "joints of nothing": ("joints", dict(), "joints={} is not a registered"),
    "joints that are none": ("joints", 16, "joints=16 is not a registered"),
    "a ratio above 1": ("labeled_target", dict(ratio=1.5), r"must be in \(0, 1\]"),
    "a ratio of text": ("labeled_target", dict(ratio="5%"), "ratio must be a num"),
    "a count of all": ("labeled_target", dict(count=10), "takes all 10 images"),
    "a seed below 0": ("labeled_target", dict(count=1, seed=-1), "seed must be in"),
    "a share of something": ("labeled_target", dict(share=0.5), "a ratio or a count"),
    "a number for a share": ("labeled_target", 0.5, "a ratio or a count"),
    "no such transform": (
        "pipeline",
        [dict(type="LoadImage"), dict(type="Flip")],
        r"pipeline\[1\] cannot be built .*Flip",
    ),
    "no such argument of a transform": (
        "pipeline",
        [dict(type="LoadImage", color="red")],
        r"pipeline\[0\] cannot be built .*color",
    ),
    "no list of transforms": ("pipeline", None, "pipeline must be a list"),
}


@pytest.mark.parametrize("where, changes, message", DATASETS.values(), ids=DATASETS)
def test_dataset_config_is_refused(coco, mpii, where, changes, message):
    arguments = dict(
        joints="MpiiDataset", source=coco, target=mpii, pipeline=TRAIN_PIPELINE
    )
    if where in ("source", "target") and isinstance(changes, dict):
        changes = {**arguments[where], **changes}
    arguments[where] = changes
    with pytest.raises((ValueError, FileNotFoundError), match=message) as error:
        MixedDomainDataset(**arguments)
    assert (error.type is FileNotFoundError) == ("/no" in message)


@pytest.mark.parametrize(
    "share, message",
    [
        (dict(ratio=0.0), r"ratio must be in \(0, 1\]"),
        (dict(count=11), "count must be from 1 to 10"),
        (dict(), "a ratio or a count"),
        (dict(ratio=0.5, count=2), "a ratio or a count"),
    ],
)
def test_impossible_shares(coco, mpii, share, message):
    with pytest.raises(ValueError, match=message):
        MixedDomainDataset("MpiiDataset", coco, mpii, share)


def test_wrong_arguments(coco):
    with pytest.raises(ValueError, match="needs a source, a target"):
        MixedDomainDataset("MpiiDataset")
    with pytest.raises(ValueError, match="there is no target"):
        MixedDomainDataset("MpiiDataset", coco, labeled_target=dict(ratio=0.5))


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
    with pytest.raises(ValueError, match="box_jitter must be a dict with some of"):
        MixedDomainDataset("MpiiDataset", target=dict(coco, box_jitter=dict(size=1)))


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


def test_missing_file_and_missing_target_of_pseudo_labels(
    coco, mpii, tmp_path, write_pseudo
):
    with pytest.raises(FileNotFoundError, match="pseudo_label.py writes one"):
        build(str(tmp_path / "none.json"), target=coco)
    _, path = write_pseudo(10)
    with pytest.raises(ValueError, match="no unlabeled target"):
        build(path, source=coco)


def test_a_source_of_several_datasets(coco, mpii, tmp_path):
    sources = [coco, mpii]
    dataset = MixedDomainDataset(
        "MpiiDataset", source=sources, target=mpii, pipeline=TRAIN_PIPELINE
    )
    assert dataset.domains == ["source", "target_unlabeled"]
    assert dataset.lens == [16, 10] and len(dataset) == 26
    assert [dataset.domain_of(i) for i in (0, 6, 15, 16)] == [
        *["source"] * 3,
        "target_unlabeled",
    ]
    paths = [dataset[i]["data_samples"].img_path for i in range(16)]
    assert ["coco" in path for path in paths] == [True] * 6 + [False] * 10
    alone = MixedDomainDataset("MpiiDataset", source=mpii, pipeline=())
    np.testing.assert_array_equal(
        MixedDomainDataset("MpiiDataset", source=sources)[7]["keypoints"],
        alone[1]["keypoints"],
    )
    with pytest.raises(ValueError, match="empty list"):
        MixedDomainDataset("MpiiDataset", source=[])


def test_an_error_names_the_part_of_a_source(coco, mpii):
    Path(mpii["data_prefix"]["img"], "000002.png").write_bytes(b"")
    dataset = MixedDomainDataset(
        "MpiiDataset", source=[coco, mpii], pipeline=TRAIN_PIPELINE
    )
    with pytest.raises(RuntimeError, match=r"domain 'source', image '.*mpii.*000002"):
        dataset[7]
