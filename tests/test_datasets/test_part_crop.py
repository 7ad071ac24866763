import numpy as np
import pytest
import torch
from annotation_changes import joints, third
from mmpose.registry import TRANSFORMS
from tiny_domains import CODEC, TRAIN_PIPELINE, edit_json

from mmpose_da.datasets import (
    MarkPartCrops,
    MixedDomainDataset,
    PartCrops,
    RandomPartCrop,
)

CROPS = dict(count=4, share=(0.3, 0.6), seed=1)
LOAD, CENTER, FLIP, _, BBOX, AFFINE, TARGET, PACK = TRAIN_PIPELINE
SHOW = dict(type="RandomPartCrop")
BLANK = dict(SHOW, zoom=False)
PART_LABELS = dict(type="PartLabels", input_size=CODEC["input_size"])
MARK = dict(type="MarkPartCrops")
MIRROR = dict(type="RandomFlip", prob=1.0)


def build(target, *pipeline, **kwargs):
    return MixedDomainDataset("MpiiDataset", target=target, pipeline=pipeline, **kwargs)


def with_parts(dataset, **kwargs):
    return dict(dataset, labels="parts", part_crops=dict(CROPS, **kwargs))


# The crops


@pytest.fixture
def boxes():
    rng = np.random.default_rng(0)
    low = rng.uniform(0, 50, (200, 2))
    return np.hstack([low, low + rng.uniform(5, 100, (200, 2))])


@pytest.mark.parametrize("ratio", [0.75, 1.0, 2.0])
def test_crops_have_the_aspect_ratio_and_the_size(boxes, ratio):
    crops = PartCrops(count=5, share=(0.3, 0.6), aspect_ratio=ratio).draw(boxes)
    assert crops.shape == (200, 5, 4) and crops.dtype == np.float32
    width, height = (crops[..., 2:] - crops[..., :2]).transpose(2, 0, 1)
    np.testing.assert_allclose(width / height, ratio, rtol=1e-4)
    sides = boxes[:, 2:] - boxes[:, :2]
    whole = np.maximum(sides[:, 1], sides[:, 0] / ratio)[:, None]
    shares = height / whole
    assert shares.min() >= 0.3 - 1e-4 and shares.max() <= 0.6 + 1e-4
    assert shares.std() > 0.08


def test_crops_are_inside_or_contain_the_box(boxes):
    """Along each axis on its own."""
    crops = PartCrops(count=5, share=(0.2, 0.9)).draw(boxes)
    low, high = boxes[:, None, :2], boxes[:, None, 2:]
    inside = (crops[..., :2] >= low - 1e-3) & (crops[..., 2:] <= high + 1e-3)
    around = (crops[..., :2] <= low + 1e-3) & (crops[..., 2:] >= high - 1e-3)
    assert (inside | around).all()
    assert inside.any() and around.any()


def test_crops_are_the_same_in_every_run(boxes):
    np.testing.assert_array_equal(PartCrops().draw(boxes), PartCrops().draw(boxes))
    assert (PartCrops(seed=1).draw(boxes) != PartCrops().draw(boxes)).any()


@pytest.mark.parametrize(
    "changes, message",
    [
        (dict(count=0), "part_crops.count must be a positive integer"),
        (dict(count=1.5), "part_crops.count must be a positive integer"),
        (dict(share=(0.5, 1.2)), "part_crops.share must be a range"),
        (dict(share=(0.5, 0.2)), "part_crops.share must be a range"),
        (dict(aspect_ratio=0), "part_crops.aspect_ratio must be positive"),
        (dict(side=3), "part_crops must be a dict with some of .*'aspect_ratio'"),
    ],
)
def test_wrong_settings(mpii, changes, message):
    with pytest.raises(ValueError, match=message):
        build(with_parts(mpii, **changes))


# Labels and crops agree


def shown_by_hand(dataset, index, sample):
    """Which joints a crop shows, from the file's positions and the crop's geometry."""
    raw = dataset.datasets[0]
    everything = MixedDomainDataset("MpiiDataset", source=raw_config(raw))
    info = everything[index]
    points, visible = info["keypoints"][0], info["keypoints_visible"][0, :, 0] > 0
    center, scale = sample.input_center, sample.input_scale
    if sample.get("flip"):
        points = points[sample.flip_indices].copy()
        visible = visible[sample.flip_indices]
        points[:, 0] = sample.ori_shape[1] - 1 - points[:, 0]
    inside = (np.abs(points - center) <= scale / 2).all(1)
    return visible & inside


def raw_config(raw):
    return dict(
        type="MpiiDataset", ann_file=raw.ann_file, data_prefix=dict(raw.data_prefix)
    )


@pytest.mark.parametrize("mirror", [False, True])
def test_labels_are_those_of_the_crop(mpii, mirror):
    """Whatever comes before it: scale, shift, rotation, mirror image."""
    steps = [LOAD, CENTER, *([MIRROR] if mirror else []), BBOX]
    dataset = build(with_parts(mpii), *steps, SHOW, AFFINE, PACK)
    np.random.seed(0)
    found, whole = [], 0
    for index in range(len(dataset)):
        for _ in range(3):
            sample = dataset[index]["data_samples"]
            [labels] = sample.gt_instance_labels.part_labels.numpy() > 0
            np.testing.assert_array_equal(labels, shown_by_hand(dataset, index, sample))
            assert (sample.gt_instance_labels.part_weights == 1).all()
            assert "keypoints" not in sample.gt_instances
            whole += sample.part_crop == 0
            found.append(labels.mean())
    assert whole == 0
    assert 0.02 < np.mean(found) < 0.6  # parts, not people


@pytest.mark.parametrize("show", [SHOW, BLANK])
def test_crops_of_people_with_keypoints_have_the_labels_of_the_codec(mpii, show):
    """The same labels as for people without, since the same crops are shown."""
    codec = dict(type="PartLabels", input_size=(64, 64))
    target = dict(type="GenerateTarget", encoder=codec)
    steps = LOAD, dict(CENTER, padding=1.5), MIRROR, show, AFFINE, target, PACK
    labeled = build(with_parts(mpii), *steps, labeled_target=dict(ratio=1.0))
    parts = build(with_parts(mpii), *steps)
    for index in range(len(labeled)):
        np.random.seed(index)
        first = labeled[index]["data_samples"]
        np.random.seed(index)
        second = parts[index]["data_samples"]
        assert first.part_crop == second.part_crop
        known, given = first.gt_instance_labels, second.gt_instance_labels
        # Within a pixel of the border, the two may differ.
        clear = ((known.keypoint_labels.abs() - 1).abs() > 2 / 64).all(-1)
        assert torch.equal(known.part_labels[clear], given.part_labels[clear])
        assert 0 < known.part_labels.sum() < 16
        assert torch.equal(known.part_weights, given.part_weights)
        assert torch.equal(known.keypoint_weights, known.part_labels)
        assert "keypoint_labels" not in given


@pytest.mark.parametrize("mirror", [False, True])
def test_what_is_not_shown_is_blank(mpii, mirror):
    """The part stays where it is, with its pixels and its labels."""
    steps = [LOAD, CENTER, *([MIRROR] if mirror else [])]
    whole = build(with_parts(mpii), *steps, dict(BLANK, prob=0.0), AFFINE, PACK)
    blank = build(with_parts(mpii), *steps, BLANK, AFFINE, PACK)
    size = whole[0]["inputs"].shape[1]
    for index in range(len(blank)):
        person, part = whole[index], blank[index]
        seen, meta = person["inputs"], person["data_samples"].metainfo
        found, sample = part["inputs"], part["data_samples"]
        assert (sample.input_scale == meta["input_scale"]).all()
        low, high = np.split(
            blank.get_data_info(index)["part_crops"][sample.part_crop - 1], 2
        )
        if mirror:
            edges = 79 - high[0], 79 - low[0]
            low, high = np.array([edges[0], low[1]]), np.array([edges[1], high[1]])
        start = meta["input_center"] - meta["input_scale"] / 2
        low, high, first, last = (
            (edge - start) * size / meta["input_scale"]
            for edge in (low, high, np.zeros(2), np.full(2, 79))
        )
        grid = np.stack(np.meshgrid(np.arange(size), np.arange(size)), -1)
        inside = ((grid > low + 2) & (grid < high - 2)).all(-1)
        outside = ((grid < low - 2) | (grid > high + 2)).any(-1)
        assert (found[:, inside] == seen[:, inside]).all()
        outside &= ((grid > first + 2) & (grid < last - 2)).all(-1)
        blanks = torch.tensor([104, 116, 124], dtype=torch.uint8)[:, None]
        assert (found[:, outside] == blanks).all()
        assert inside.any() and outside.any()


def test_a_domain_and_its_labeled_share_have_the_same_crops(mpii):
    def crops(share):
        dataset = build(with_parts(mpii), labeled_target=share)
        infos = [dataset.get_data_info(i) for i in range(len(dataset))]
        return {info["id"]: info["part_crops"] for info in infos}

    first, second = crops(dict(count=3)), crops(None)
    assert first.keys() == second.keys()
    assert all((first[key] == second[key]).all() for key in first)


def test_labels_are_mapped_to_the_joints_of_the_model(coco):
    """With the weight 0 for joints that COCO lacks, and midpoints of two joints."""
    content = joints(**{f"j{i}": (0, 0, 0) for i in range(17) if i not in (9, 11)})
    edit_json(coco["ann_file"], third(keypoints=content))
    whole = dict(SHOW, prob=0.0)
    dataset = build(with_parts(coco), LOAD, CENTER, whole, AFFINE, PACK)
    labels = dataset[2]["data_samples"].gt_instance_labels
    names = dataset.metainfo["keypoint_id2name"]
    shown = {names[int(i)] for i in labels.part_labels[0].nonzero()}
    assert shown == {"left_wrist", "left_hip"}  # the pelvis needs both hips
    unknown = {names[int(i)] for i in (labels.part_weights[0] == 0).nonzero()}
    assert unknown == {"upper_neck", "head_top"}


def test_the_share_of_whole_people(mpii):
    dataset = build(with_parts(mpii), LOAD, CENTER, dict(SHOW, prob=0.5), AFFINE, PACK)
    np.random.seed(0)
    shown = [dataset[i % 10]["data_samples"].part_crop for i in range(200)]
    assert 70 < np.count_nonzero(shown) < 130
    assert set(shown) == {0, 1, 2, 3, 4}


def test_without_crops_nothing_changes_and_nothing_is_drawn():
    results = dict(bbox_center=1, bbox_scale=2)
    state = np.random.get_state()[1].copy()
    assert RandomPartCrop()(results) == dict(results, part_crop=0)
    np.testing.assert_array_equal(np.random.get_state()[1], state)


# Marked parts


@pytest.mark.parametrize("mirror", [False, True])
@pytest.mark.parametrize("whole, use_udp", [(True, False), (False, True)])
def test_labels_are_those_of_the_marked_parts(mpii, mirror, whole, use_udp):
    """Of each part; whatever was done to the image: scale, rotation, mirror image."""
    steps = [LOAD, CENTER, *([MIRROR] if mirror else []), BBOX]
    mark = dict(MARK, whole=whole, use_udp=use_udp)
    affine = dict(AFFINE, use_udp=use_udp)
    marked = build(with_parts(mpii), *steps, affine, mark, PACK)
    target = dict(type="GenerateTarget", encoder=PART_LABELS)
    known = build(mpii, *steps, affine, target, PACK, labeled_target=dict(ratio=1.0))
    count = CROPS["count"] + whole
    shown, rotations = [], 0
    for index in range(len(marked)):
        np.random.seed(index)
        sample = marked[index]["data_samples"]
        np.random.seed(index)
        person = known[index]["data_samples"]
        assert (sample.input_center == person.input_center).all()
        normalized = person.gt_instance_labels.keypoint_labels[0].numpy()
        points = ((normalized + 1) * np.array(PART_LABELS["input_size"]) - 1) / 2
        visible = person.gt_instances.keypoints_visible[0] > 0
        labels = sample.gt_instance_labels
        assert labels.part_labels.shape == labels.part_weights.shape == (count, 16)
        for region, found in zip(labels.part_regions, labels.part_labels, strict=True):
            square = points @ region[:, :2].numpy().T + region[:, 2].numpy()
            inside = ((square >= 0) & (square <= 1)).all(-1) & visible
            clear = (np.abs(np.abs(square - 0.5) - 0.5) > 1e-3).all(-1)
            np.testing.assert_array_equal(inside[clear], found.numpy()[clear] > 0)
        shown.append(labels.part_labels.mean())
        rotations += abs(float(labels.part_regions[0, 0, 1])) > 1e-4
        assert "keypoints" not in sample.gt_instances
    assert 0.02 < np.mean(shown) < 0.8 and rotations


def test_marking_does_not_change_the_image(mpii):
    plain = build(mpii, LOAD, CENTER, AFFINE, PACK)
    marked = build(with_parts(mpii), LOAD, CENTER, AFFINE, MARK, PACK)
    assert all((plain[i]["inputs"] == marked[i]["inputs"]).all() for i in range(3))


def test_without_crops_the_box_is_marked(mpii):
    dataset = build(dict(mpii, labels="parts"), LOAD, CENTER, AFFINE, MARK, PACK)
    labels = dataset[0]["data_samples"].gt_instance_labels
    assert labels.part_labels.shape == (1, 16)
    assert labels.part_regions.shape == (1, 2, 3)


def test_marking_with_another_warp(mpii):
    dataset = build(
        with_parts(mpii), LOAD, CENTER, AFFINE, dict(MARK, use_udp=True), PACK
    )
    with pytest.raises(RuntimeError, match="right after TopdownAffine, with the same"):
        dataset[0]


def test_marking_before_the_crop():
    with pytest.raises(ValueError, match="TopdownAffine makes; put it right after"):
        MarkPartCrops()(dict(bbox=np.zeros((1, 4))))


# Errors


def test_pipeline_that_does_not_show_the_crops(mpii):
    missing = build(with_parts(mpii), LOAD, CENTER, AFFINE, PACK)
    with pytest.raises(ValueError, match="add dict.type='MarkPartCrops'."):
        missing[0]


@pytest.mark.parametrize(
    "steps",
    [
        (LOAD, SHOW, CENTER, AFFINE),
        (LOAD, CENTER, SHOW, dict(BBOX, scale_factor=(0.5, 0.6)), AFFINE),
        (LOAD, CENTER, SHOW, dict(AFFINE, input_size=(48, 64))),
    ],
)
def test_a_crop_that_is_not_the_drawn_one(mpii, steps):
    dataset = build(with_parts(mpii), *steps, PACK)
    with pytest.raises(ValueError, match="must be right before TopdownAffine"):
        for index in range(len(dataset)):
            dataset[index]


def test_transform_after_the_crop(mpii):
    dataset = build(with_parts(mpii), LOAD, CENTER, AFFINE, SHOW, PACK)
    with pytest.raises(RuntimeError, match="comes after TopdownAffine"):
        dataset[0]


def test_wrong_probability():
    with pytest.raises(ValueError, match="RandomPartCrop.prob must be in"):
        TRANSFORMS.build(dict(SHOW, prob=2))


def test_crops_are_cut_from_the_image(mpii):
    """A crop of a part has the pixels at its place."""
    plain = build(with_parts(mpii), LOAD, CENTER, SHOW, AFFINE, PACK)
    sample = plain[0]
    center, scale = (
        sample["data_samples"].metainfo[key] for key in ("input_center", "input_scale")
    )
    info = plain.get_data_info(0)
    index = sample["data_samples"].part_crop - 1
    low, high = np.split(info["part_crops"][index], 2)
    np.testing.assert_allclose(center, (low + high) / 2, rtol=1e-5)
    np.testing.assert_allclose(scale, high - low, rtol=1e-5)
    assert sample["inputs"].shape[1:] == CODEC["input_size"]
