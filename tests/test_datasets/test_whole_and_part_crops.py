import numpy as np
import pytest
import torch
from mmpose.registry import DATASETS
from tiny_domains import VAL_PIPELINE

AT = [step["type"] for step in VAL_PIPELINE].index("TopdownAffine")
PART_PIPELINE = [*VAL_PIPELINE[:AT], dict(type="RandomPartCrop"), *VAL_PIPELINE[AT:]]
MARK = dict(type="MarkPartCrops", whole=False)
CROPS = dict(share=(0.3, 0.6), seed=1)


@pytest.fixture
def build(mpii):
    def build(**changes):
        dataset = dict(mpii, type="ZeroBasedMpiiDataset", test_mode=True)
        return DATASETS.build(
            dict(
                dict(
                    type="WholeAndPartCrops",
                    dataset=dataset,
                    joints="MpiiDataset",
                    pipeline=VAL_PIPELINE,
                    part_pipeline=PART_PIPELINE,
                    part_crops=CROPS,
                ),
                **changes,
            )
        )

    return build


def test_people_come_twice(build, mpii):
    dataset = build()
    samples = [dataset[i]["data_samples"] for i in range(len(dataset))]
    assert len(samples) == 20
    whole, parts = samples[:10], samples[10:]
    assert [s.id for s in whole] == [s.id for s in parts]
    assert all("keypoints" in s.gt_instances for s in whole)
    assert not any("part_labels" in s.get("gt_instance_labels", {}) for s in whole)
    assert not any("keypoints" in s.gt_instances for s in parts)
    labels = np.stack([s.gt_instance_labels.part_labels[0].numpy() for s in parts])
    assert 0 < labels.mean() < 0.6
    assert all(
        (p.input_scale < w.input_scale).all() for w, p in zip(whole, parts, strict=True)
    )


def test_whole_people_and_metainfo_are_those_of_the_dataset(build, mpii):
    dataset = build()
    dataset_alone = DATASETS.build(
        dict(mpii, type="ZeroBasedMpiiDataset", test_mode=True, pipeline=VAL_PIPELINE)
    )
    assert dataset.metainfo["zero_based"]
    assert dataset.metainfo["dataset_name"] == dataset_alone.metainfo["dataset_name"]
    for index in (0, 7):
        a, b = dataset[index], dataset_alone[index]
        assert (a["inputs"] == b["inputs"]).all()


def test_parts_are_the_same_in_every_run(build):
    first, second = build(), build()
    for index in range(10, 20):
        assert (first[index]["inputs"] == second[index]["inputs"]).all()


def test_marked_parts_of_whole_people(build):
    pipeline = [*VAL_PIPELINE[: AT + 1], MARK, *VAL_PIPELINE[AT + 1 :]]
    marked, cropped = build(part_pipeline=pipeline), build()
    for index in range(10):
        assert (marked[index]["inputs"] == marked[10 + index]["inputs"]).all()
        first, second = (
            dataset[10 + index]["data_samples"].gt_instance_labels
            for dataset in (marked, cropped)
        )
        assert torch.equal(first.part_labels, second.part_labels)
        assert first.part_regions.shape == (1, 2, 3)
