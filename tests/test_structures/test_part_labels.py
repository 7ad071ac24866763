import pytest
import torch
from mmengine.structures import InstanceData
from mmpose.structures import PoseDataSample

from mmpose_da.structures import (
    has_part_labels,
    part_labels,
    part_regions,
    warp_part_labels,
)


@pytest.fixture
def samples():
    made = []
    for index in range(3):
        sample = PoseDataSample(metainfo=dict(id=index, domain="target_unlabeled"))
        sample.gt_instance_labels = InstanceData(
            part_labels=torch.tensor([[1.0, 0, index]]),
            part_weights=torch.tensor([[0.0, 1, 1]]),
        )
        made.append(sample)
    return made


@pytest.fixture
def marked():
    """A sample with two parts, whose places are known."""
    sample = PoseDataSample(metainfo=dict(id=8, domain="target_unlabeled"))
    sample.gt_instance_labels = InstanceData(
        part_labels=torch.tensor([[1.0, 1, 0], [0, 1, 0]]),
        part_weights=torch.ones(2, 3),
        part_regions=torch.rand(2, 2, 3),
    )
    return sample


def test_stacked(samples):
    found = part_labels(samples)
    assert found.labels.tolist() == [[[1, 0, 0]], [[1, 0, 1]], [[1, 0, 2]]]
    assert found.weights.tolist() == [[[0, 1, 1]]] * 3
    assert found.regions is None and part_regions(samples) == [None] * 3


def test_images_with_and_without_parts(samples, marked):
    """Labels without a place are those of the image; the padding has no weight."""
    found = part_labels([samples[0], marked])
    assert found.labels.tolist() == [[[1, 0, 0], [0, 0, 0]], [[1, 1, 0], [0, 1, 0]]]
    assert found.weights.tolist() == [[[0, 1, 1], [0, 0, 0]], [[1, 1, 1], [1, 1, 1]]]
    places = marked.gt_instance_labels.part_regions
    assert torch.equal(found.regions[1], places)
    pixels = torch.rand(3, 10) * 1e6
    square = found.regions[0, 0] @ torch.cat([pixels[:2], torch.ones(1, 10)])
    assert ((square >= 0) & (square <= 1)).all()
    none, some = part_regions([samples[0], marked])
    assert none is None and torch.equal(some, places)


def test_warped(samples, marked):
    empty = PoseDataSample(metainfo=dict(id=3))
    torch.manual_seed(0)
    matrices = torch.eye(3) + 0.1 * torch.rand(4, 3, 3)
    matrices[:, 2] = torch.tensor([0.0, 0, 1])
    flipped = torch.tensor([False, True, False, True])
    given = [samples[0], samples[1], empty, marked]
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = warp_part_labels(given, matrices, flipped, (2, 1, 0))
    labels = [s.gt_instance_labels for s in (found[0], found[1], found[3])]
    assert labels[0].part_labels.tolist() == [[1, 0, 0]]
    assert found[2] is empty
    assert labels[1].part_labels.tolist() == [[1, 0, 1]]
    assert labels[1].part_weights.tolist() == [[1, 1, 0]]
    assert labels[2].part_labels.tolist() == [[0, 1, 1], [0, 1, 0]]
    assert found[3].metainfo == marked.metainfo
    assert samples[1].gt_instance_labels.part_weights.tolist() == [[0, 1, 1]]

    before = torch.cat([torch.rand(2, 20) * 64, torch.ones(1, 20)])
    after = matrices[3] @ before
    torch.testing.assert_close(
        labels[2].part_regions @ after, marked.gt_instance_labels.part_regions @ before
    )


def test_missing(samples):
    empty = PoseDataSample(metainfo=dict(id=7, domain="source"))
    assert has_part_labels(samples[0]) and not has_part_labels(empty)
    with pytest.raises(ValueError, match="sample 7 of the domain 'source' has no part"):
        part_labels([*samples, empty])
