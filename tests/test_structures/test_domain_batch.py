import pytest
import torch
from mmpose.structures import PoseDataSample

from mmpose_da.structures import DomainBatch


def make(*domains):
    samples = [PoseDataSample(metainfo=dict(domain=d) if d else {}) for d in domains]
    index = torch.arange(len(domains), dtype=torch.float32).view(-1, 1, 1, 1)
    outputs = (index * 3, [index * 4])
    maps = dict(xy=index * 3)
    return DomainBatch(samples, index, dict(head=index * 2), outputs, maps)


def test_parts_are_slices_of_everything():
    batch = make("source", "source", "target_labeled", "target_unlabeled")
    part = batch["target"]
    assert len(batch) == 4 and len(part) == 2
    assert part.images.flatten().tolist() == [2, 3]
    assert part.features["head"].flatten().tolist() == [4, 6]
    assert part.maps["xy"].flatten().tolist() == [6, 9]
    first, [second] = part.outputs
    assert first.flatten().tolist() == [6, 9] and second.flatten().tolist() == [8, 12]
    assert part.domains == ["target_labeled", "target_unlabeled"]
    assert len(part["target_unlabeled"]) == 1
    assert batch.slice("labeled") == slice(0, 3)
    assert batch.slice("source") == slice(0, 2)
    assert batch["source"].images.data_ptr() == batch.images.data_ptr()  # a view


def test_absent_domains_are_empty():
    batch = make("source", "target_unlabeled")
    assert len(batch["target_labeled"]) == 0
    assert batch["target_labeled"].images.shape == (0, 1, 1, 1)
    assert batch.slice("target") == slice(1, 2)
    assert len(make("target_unlabeled")["source"]) == 0


def test_samples_without_domain_are_source():
    assert len(make(None, None)["source"]) == 2


@pytest.mark.parametrize(
    "domains",
    [
        ("target_unlabeled", "source"),
        ("source", "target_labeled", "source"),
        ("source", "moon"),
    ],
)
def test_other_orders_are_refused(domains):
    with pytest.raises(ValueError, match="must be in the order"):
        make(*domains)
