import json
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from mmpose.datasets import CocoDataset, CrowdPoseDataset
from mmpose.datasets.transforms import GetBBoxCenterScale

from mmpose_da.datasets import Pose3dDataset, ZeroBasedMpiiDataset
from mmpose_da.rendering import (
    CROWD,
    JOINT_IDS,
    JOINT_NAMES,
    STREET,
    STUDIO,
    crowd_index,
    is_written,
    render_people,
    render_sample,
    sample_rng,
    write_domain,
)
from mmpose_da.rendering import writer as writer_module

SIZE = 64
COUNTS = dict(train=5, val=3)


def write(folder, domain=STREET, counts=COUNTS, **kwargs):
    kwargs = dict(dict(seed=3, size=SIZE), **kwargs)
    return write_domain(folder, domain, counts, **kwargs)


def contents(folder):
    """The bytes of all files by name."""
    files = sorted(path for path in Path(folder).rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def samples_of(domain, split, count, seed=3):
    return [
        render_sample(domain, sample_rng(seed, domain.name, split, i), SIZE)
        for i in range(count)
    ]


@pytest.fixture(scope="module")
def coco(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sets") / "coco"
    assert write(folder)
    return folder


@pytest.fixture(scope="module")
def mpii(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sets") / "mpii"
    assert write(folder, format="mpii")
    return folder


@pytest.fixture(scope="module")
def crowdpose(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sets") / "crowdpose"
    assert write(folder, CROWD, format="crowdpose")
    return folder


def load_crowdpose(folder, split, **kwargs):
    return CrowdPoseDataset(
        data_root=str(folder),
        ann_file=f"annotations/crowdpose_{split}.json",
        data_prefix=dict(img="images/"),
        **kwargs,
    )


def load_coco(folder, split, **kwargs):
    return CocoDataset(
        data_root=str(folder),
        ann_file=f"annotations/person_keypoints_{split}.json",
        data_prefix=dict(img="images/"),
        **kwargs,
    )


def load_mpii(folder, split, **kwargs):
    return ZeroBasedMpiiDataset(
        data_root=str(folder),
        ann_file=f"annotations/mpii_{split}.json",
        data_prefix=dict(img="images/"),
        **kwargs,
    )


def names_of(dataset):
    names = dataset.metainfo["keypoint_id2name"]
    return [names[i] for i in range(len(names))]


def check_keypoints(info, sample, names):
    """Where a data set says that the joints are, against the sample."""
    ids = [JOINT_IDS[name] for name in names]
    expected, flags = sample.joints[ids], info["keypoints_visible"][0]
    inside = ((expected >= 0) & (expected <= SIZE - 1)).all(axis=1)
    np.testing.assert_array_equal(flags > 0, inside)
    np.testing.assert_allclose(
        info["keypoints"][0][inside], expected[inside], atol=0.01
    )


@pytest.mark.parametrize("split", COUNTS)
def test_coco_dataset_gives_back_joints_boxes_and_pixels(coco, split):
    dataset = load_coco(coco, split)
    samples = samples_of(STREET, split, COUNTS[split])
    assert len(dataset) == COUNTS[split]
    assert names_of(dataset) == list(JOINT_NAMES[:17])
    for i, sample in enumerate(samples):
        info = dataset.get_data_info(i)
        check_keypoints(info, sample, names_of(dataset))
        expected = np.minimum(sample.box, SIZE - 1)  # MMPose clips it
        np.testing.assert_allclose(info["bbox"][0], expected, atol=0.01)
        error = cv2.imread(info["img_path"]).astype(float) - sample.image
        assert np.abs(error).mean() < 6  # of JPEG, with halved color resolution


def test_coco_tells_hidden_joints_from_visible_ones(coco):
    content = json.loads((coco / "annotations/person_keypoints_train.json").read_text())
    flags = []
    samples = samples_of(STREET, "train", COUNTS["train"])
    for annotation, sample in zip(content["annotations"], samples, strict=True):
        flag = np.reshape(annotation["keypoints"], (17, 3))[:, 2]
        np.testing.assert_array_equal(flag == 2, sample.visible[:17])
        assert annotation["num_keypoints"] == np.count_nonzero(flag)
        flags += flag.tolist()
    assert {1, 2} <= set(flags)


def test_coco_category_is_that_of_mmpose(coco):
    content = json.loads((coco / "annotations/person_keypoints_val.json").read_text())
    (person,) = content["categories"]
    dataset = load_coco(coco, "val")
    assert person["keypoints"] == names_of(dataset)
    links = {frozenset(np.subtract(pair, 1).tolist()) for pair in person["skeleton"]}
    assert links == {frozenset(pair) for pair in dataset.metainfo["skeleton_links"]}


@pytest.mark.parametrize("split", COUNTS)
def test_mpii_dataset_gives_back_joints_and_heads(mpii, split):
    headboxes = str(mpii / f"annotations/mpii_gt_{split}.mat")
    dataset = load_mpii(mpii, split, test_mode=True, headbox_file=headboxes)
    assert len(dataset) == COUNTS[split]
    for i, sample in enumerate(samples_of(STREET, split, COUNTS[split])):
        info = dataset.get_data_info(i)
        check_keypoints(info, sample, names_of(dataset))
        assert Path(info["img_path"]).is_file()
        low, high = sample.head_box[:2], sample.head_box[2:]
        diagonal = 0.6 * np.linalg.norm(high - low)
        assert info["head_size"].item() == pytest.approx(diagonal, rel=1e-6)


def test_mpii_boxes_are_as_wide_as_those_of_coco(coco, mpii):
    padded = GetBBoxCenterScale()
    for split in COUNTS:
        sets = load_coco(coco, split), load_mpii(mpii, split)
        for i in range(COUNTS[split]):
            infos = [padded(dataset.get_data_info(i)) for dataset in sets]
            np.testing.assert_allclose(
                *(info["bbox_center"] for info in infos),
                atol=0.51,  # for MMPose clips COCO's boxes
            )
            np.testing.assert_allclose(
                *(info["bbox_scale"].max() for info in infos), atol=1.3
            )


def test_joints_in_3d_project_to_those_in_the_image(mpii):
    content = np.load(mpii / "annotations/joints_3d_train.npz")
    assert tuple(content["joint_names"]) == JOINT_NAMES
    points = content["joints_camera"].astype(float)
    focal, center = content["focal"][:, None, None], content["center"][:, None]
    projected = focal * points[..., :2] / points[..., 2:] + center
    np.testing.assert_allclose(projected, content["joints_image"], atol=0.01)

    samples = samples_of(STREET, "train", COUNTS["train"])
    world = np.einsum(
        "nij,nki->nkj",
        content["rotation"],
        points - content["translation"][:, None],
    )
    np.testing.assert_allclose(world, [s.joints_world for s in samples], atol=1e-5)
    np.testing.assert_array_equal(content["visible"], [s.visible for s in samples])


def test_image_ids_are_unique_over_splits(mpii):
    sets = [load_mpii(mpii, split) for split in COUNTS]
    ids = {dataset.get_data_info(i)["img_id"] for dataset in sets for i in range(3)}
    assert len(ids) == 6


@pytest.mark.parametrize("format", ["coco", "mpii", "crowdpose"])
def test_the_same_seed_gives_the_same_bytes_with_any_number_of_workers(
    format, request, tmp_path, monkeypatch
):
    # MATLAB files and archives may hold the time.
    monkeypatch.setattr("time.asctime", lambda: "another time")
    domain = CROWD if format == "crowdpose" else STREET
    assert write(tmp_path / "again", domain, format=format, workers=2)
    assert contents(tmp_path / "again") == contents(request.getfixturevalue(format))


def test_another_seed_gives_other_images(coco, tmp_path):
    write(tmp_path / "other", seed=4)
    before, after = contents(coco), contents(tmp_path / "other")
    assert before.keys() == after.keys()
    assert all(before[name] != after[name] for name in before)


def test_more_images_go_on_after_those_of_fewer(coco, tmp_path):
    write(tmp_path / "more", counts=dict(train=6, val=3))
    more = contents(tmp_path / "more")
    images = {k: v for k, v in contents(coco).items() if k.endswith("jpg")}
    assert images.items() < more.items()


def test_splits_and_domains_share_no_randomness():
    draws = {
        sample_rng(seed, domain, split, index).random()
        for seed in (0, 1)
        for domain in ("studio", "street")
        for split in ("train", "val")
        for index in (0, 1)
    }
    assert len(draws) == 16


def test_what_is_there_is_not_written_again(coco, monkeypatch):
    monkeypatch.setattr(writer_module, "render_people", None)
    assert not write(coco)


@pytest.mark.parametrize(
    "change, message",
    [
        (dict(seed=4), "seed is 3, not 4"),
        (dict(size=32), "size is 64, not 32"),
        (dict(format="mpii"), "format is coco, not mpii"),
        (dict(counts=dict(train=5)), "counts.val is 3, not None"),
        (dict(domain=STUDIO), "domain is street, not studio"),
        (
            dict(domain=replace(STREET, crowd=CROWD.crowd)),
            "settings.crowd.apart is None, not 0.5",
        ),
        (
            dict(domain=replace(STREET, from_behind=1.0)),
            f"settings.from_behind is {STREET.from_behind}, not 1.0. "
            "To replace it, use --overwrite",
        ),
    ],
)
def test_another_set_is_kept_and_the_error_says_what_differs(coco, change, message):
    before = contents(coco)
    with pytest.raises(FileExistsError, match=message):
        write(coco, **change)
    assert contents(coco) == before


def test_another_generator_makes_another_set(coco, monkeypatch):
    monkeypatch.setattr(writer_module, "GENERATOR_VERSION", 0)
    with pytest.raises(FileExistsError, match="generator_version is 3, not 0"):
        write(coco)


def test_sets_of_another_generator_are_not_used(coco, tmp_path, monkeypatch):
    assert is_written(coco) and not is_written(tmp_path)
    monkeypatch.setattr(writer_module, "GENERATOR_VERSION", 9)
    with pytest.raises(FileExistsError, match="version 3 .* this is version 9"):
        is_written(coco)


def test_a_set_that_was_tampered_with_is_replaced_when_asked_to(tmp_path):
    folder = tmp_path / "set"
    write(folder, counts=dict(train=1))
    before = contents(folder)
    (folder / "images/0000000.jpg").write_bytes(b"")
    with pytest.raises(FileExistsError, match="files were changed"):
        write(folder, counts=dict(train=1))
    assert write(folder, counts=dict(train=1), overwrite=True)
    assert contents(folder) == before
    assert write(folder, counts=dict(test=1), overwrite=True)
    assert not (folder / "annotations/person_keypoints_train.json").exists()


def test_a_folder_of_somebody_else_is_never_replaced(tmp_path):
    (tmp_path / "thesis.tex").write_text("...")
    with pytest.raises(FileExistsError, match="has no manifest.json"):
        write(tmp_path, overwrite=True)
    assert list(contents(tmp_path)) == ["thesis.tex"]


def test_an_interrupted_writing_leaves_no_set_and_is_taken_up(tmp_path):
    folder = tmp_path / "set"
    images = []

    def interrupt():
        images.append(1)
        if len(images) == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write(folder, progress=interrupt)
    assert not folder.exists()
    assert write(folder, progress=lambda: images.append(1))
    assert len(images) == 4 + sum(COUNTS.values())
    assert [path.name for path in tmp_path.iterdir()] == ["set"]


@pytest.mark.parametrize(
    "change, message",
    [
        (dict(format="yolo"), r"one of \['coco', 'crowdpose', 'mpii'\], not 'yolo'"),
        (dict(counts=dict(train=0)), "train=0: a split has from 1"),
    ],
)
def test_arguments_that_do_not_fit(tmp_path, change, message):
    with pytest.raises(ValueError, match=message):
        write(tmp_path / "set", **change)
    assert not list(tmp_path.iterdir())


#: CrowdPose's names that differ.
OTHER_NAMES = dict(top_head="head_top", neck="upper_neck")


def people_of(split, seed=3):
    return [
        render_people(CROWD, sample_rng(seed, "crowd", split, i), SIZE)
        for i in range(COUNTS[split])
    ]


def crowd_content(folder, split):
    path = folder / f"annotations/crowdpose_{split}.json"
    return json.loads(path.read_text())


@pytest.mark.parametrize("split", COUNTS)
def test_crowdpose_dataset_gives_back_everybody(crowdpose, split):
    dataset = load_crowdpose(crowdpose, split)
    samples = [sample for people in people_of(split) for sample in people]
    assert len(dataset) == len(samples) > 2 * COUNTS[split]
    names = [OTHER_NAMES.get(name, name) for name in names_of(dataset)]
    for i, sample in enumerate(samples):
        info = dataset.get_data_info(i)
        check_keypoints(info, sample, names)
        expected = np.minimum(sample.box, SIZE - 1)  # MMPose clips it
        np.testing.assert_allclose(info["bbox"][0], expected, atol=0.01)
        error = cv2.imread(info["img_path"]).astype(float) - sample.image
        assert np.abs(error).mean() < 6
    assert len({dataset.get_data_info(i)["id"] for i in range(len(dataset))}) == i + 1


@pytest.mark.parametrize("split", COUNTS)
def test_crowdpose_labels_what_others_hide_and_counts_what_is_seen(crowdpose, split):
    content = crowd_content(crowdpose, split)
    assert [image["id"] for image in content["images"]] == [
        int(image["file_name"][:-4]) for image in content["images"]
    ]
    hidden = 0
    ids = [JOINT_IDS[OTHER_NAMES.get(n, n)] for n in crowd_names(content)]
    samples = [sample for people in people_of(split) for sample in people]
    for annotation, sample in zip(content["annotations"], samples, strict=True):
        flags = np.reshape(annotation["keypoints"], (14, 3))[:, 2]
        joints = sample.joints[ids]
        inside = ((joints >= 0) & (joints <= SIZE - 1)).all(axis=1)
        np.testing.assert_array_equal(flags == 2, inside & sample.visible[ids])
        assert annotation["num_keypoints"] == (flags == 2).sum()
        hidden += (flags == 1).sum()
        width, height = annotation["bbox"][2:]
        assert annotation["area"] == pytest.approx(0.53 * width * height, abs=0.001)
    assert hidden > 0


def crowd_names(content):
    (person,) = content["categories"]
    return person["keypoints"]


def test_crowdpose_joints_are_those_of_mmpose(crowdpose):
    dataset = load_crowdpose(crowdpose, "val")
    assert crowd_names(crowd_content(crowdpose, "val")) == names_of(dataset)


@pytest.mark.parametrize("split", COUNTS)
def test_crowd_index_in_the_file_is_that_of_its_annotations(crowdpose, split):
    content = crowd_content(crowdpose, split)
    dataset = load_crowdpose(crowdpose, split)
    known = {}
    for image in content["images"]:
        group = [a for a in content["annotations"] if a["image_id"] == image["id"]]
        keypoints = [np.reshape(person["keypoints"], (14, 3)) for person in group]
        index = crowd_index([person["bbox"] for person in group], keypoints)
        assert image["crowdIndex"] == pytest.approx(index, abs=0.0005)
        known[image["id"]] = image["crowdIndex"]
    assert len(known) == COUNTS[split] and len(set(known.values())) > 2
    for i in range(len(dataset)):
        info = dataset.get_data_info(i)
        assert info["crowd_index"] == known[info["img_id"]]


@pytest.mark.parametrize("format", ["coco", "mpii"])
def test_a_crowd_can_be_written_in_any_format(tmp_path, format):
    write(tmp_path / "set", CROWD, dict(train=1, val=3), format=format)
    people = people_of("val")
    samples = [sample for group in people for sample in group]
    images = np.repeat(range(3), [len(group) for group in people])
    if format == "coco":
        dataset = load_coco(tmp_path / "set", "val")
    else:
        headboxes = str(tmp_path / "set/annotations/mpii_gt_val.mat")
        dataset = load_mpii(
            tmp_path / "set", "val", test_mode=True, headbox_file=headboxes
        )
    assert len(dataset) == len(samples)
    for i, sample in enumerate(samples):
        info = dataset.get_data_info(i)
        assert info["img_path"].endswith(f"{1_000_000 + images[i]}.jpg")
        check_keypoints(info, sample, names_of(dataset))
        if format == "mpii":
            diagonal = 0.6 * np.linalg.norm(sample.head_box[2:] - sample.head_box[:2])
            assert info["head_size"].item() == pytest.approx(diagonal, rel=1e-6)


def test_a_crowd_has_its_joints_in_3d(crowdpose):
    samples = [sample for people in people_of("train") for sample in people]
    content = np.load(crowdpose / "annotations/joints_3d_train.npz")
    np.testing.assert_allclose(
        content["joints_image"], [s.joints for s in samples], atol=1e-4
    )
    dataset = Pose3dDataset(
        data_root=str(crowdpose), ann_file="annotations/pose3d_train.json"
    )
    assert len(dataset) == len(samples)
    pelvis = [s.camera.to_camera(s.joints_world)[JOINT_IDS["pelvis"]] for s in samples]
    for i, expected in enumerate(pelvis):
        root = dataset.get_data_info(i)["keypoints_cam"][0, 0]
        np.testing.assert_allclose(root, 1000 * expected, atol=0.01)


def test_sets_from_before_there_were_crowds_are_still_known(coco):
    assert "crowd" not in json.loads((coco / "manifest.json").read_text())["settings"]
