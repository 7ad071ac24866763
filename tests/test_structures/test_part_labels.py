import pytest
import torch
from mmengine.structures import InstanceData
from mmpose.structures import PoseDataSample

from mmpose_da.structures import has_part_labels, mirror_part_labels, part_labels


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


def test_stacked(samples):
    labels, weights = part_labels(samples)
    assert labels.tolist() == [[1, 0, 0], [1, 0, 1], [1, 0, 2]]
    assert weights.tolist() == [[0, 1, 1]] * 3


def test_mirrored(samples):
    empty = PoseDataSample(metainfo=dict(id=3))
    flipped = torch.tensor([False, True, False, True])
    found = mirror_part_labels([*samples, empty], flipped, (2, 1, 0))
    assert found[0] is samples[0] and found[3] is empty
    assert found[1].gt_instance_labels.part_labels.tolist() == [[1, 0, 1]]
    assert found[1].gt_instance_labels.part_weights.tolist() == [[1, 1, 0]]
    assert found[1].metainfo == samples[1].metainfo
    assert samples[1].gt_instance_labels.part_weights.tolist() == [[0, 1, 1]]
    twice = mirror_part_labels(found, flipped, (2, 1, 0))
    assert torch.equal(part_labels(twice[:3])[0], part_labels(samples)[0])


def test_missing(samples):
    empty = PoseDataSample(metainfo=dict(id=7, domain="source"))
    assert has_part_labels(samples[0]) and not has_part_labels(empty)
    with pytest.raises(ValueError, match="sample 7 of the domain 'source' has no part"):
        part_labels([*samples, empty])
