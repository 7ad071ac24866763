from collections import Counter
from types import SimpleNamespace

import pytest
from mmengine.dataset import DefaultSampler

from mmpose_da.datasets import MixedDomainBatchSampler, MixedDomainDataset

SIZES = dict(source=10, target_labeled=3, target_unlabeled=37)
COUNTS = dict(source=4, target_labeled=2, target_unlabeled=4)


def make(counts=COUNTS, seed=0, epoch=0, rank=0, world_size=1, shuffle=True, **kwargs):
    """A sampler over domains of the given sizes, without any data."""
    dataset = MixedDomainDataset.__new__(MixedDomainDataset)
    dataset.domains, dataset._lens = list(SIZES), list(SIZES.values())
    dataset._domain_of_part = dataset.domains
    dataset._len, dataset._fully_initialized = sum(SIZES.values()), True
    sampler = DefaultSampler(dataset, shuffle=shuffle, seed=seed)
    sampler.rank, sampler.world_size = rank, world_size
    sampler.set_epoch(epoch)
    if "batch_size" not in kwargs:
        kwargs["batch_size"] = sum(counts.values())
    return MixedDomainBatchSampler(sampler, samples_per_domain=counts, **kwargs)


def by_domain(batch):
    return [
        [i for i in batch if i < 10],
        [i for i in batch if 10 <= i < 13],
        [i for i in batch if i >= 13],
    ]


def test_every_batch_has_the_counts_in_order():
    sampler = make()
    batches = list(sampler)
    assert len(batches) == len(sampler) == 3  # 10 / 4, rounded up
    for batch in batches:
        assert [len(part) for part in by_domain(batch)] == [4, 2, 4]
        assert sum(by_domain(batch), []) == batch


def test_epoch_domain_is_seen_once_and_filled_up():
    for epoch in range(4):
        source = sum((by_domain(batch)[0] for batch in make(epoch=epoch)), [])
        assert set(source[:10]) == set(range(10))
        assert len(source) == 12


def test_epochs_are_shuffled_anew_and_depend_on_seed_and_epoch_alone():
    first, second = list(make(epoch=0)), list(make(epoch=1))
    assert first != second
    assert first == list(make(epoch=0)) and second == list(make(epoch=1))
    assert first != list(make(epoch=0, seed=1))


def test_a_small_domain_is_cycled_evenly():
    counts = Counter(sum((by_domain(batch)[1] for batch in make()), []))
    assert counts == {10: 2, 11: 2, 12: 2}


def test_a_large_domain_goes_on_over_epochs():
    seen = []
    for epoch in range(4):
        seen += sum((by_domain(batch)[2] for batch in make(epoch=epoch)), [])
    assert set(seen[:37]) == set(range(13, 50))
    assert len(set(seen)) == 37 and len(seen) == 48


def test_epoch_length_of_another_domain():
    sampler = make(epoch_domain="target_unlabeled")
    seen = sum((by_domain(batch)[2] for batch in sampler), [])
    assert len(sampler) == 10 and set(seen[:37]) == set(range(13, 50))


def test_ranks_divide_the_batch_of_one():
    whole = list(make(dict(source=4, target_labeled=2, target_unlabeled=6), epoch=2))
    half = dict(source=2, target_labeled=1, target_unlabeled=3)
    ranks = [list(make(half, epoch=2, rank=rank, world_size=2)) for rank in (0, 1)]
    assert len(whole) == len(ranks[0]) == len(ranks[1])
    for batch, *parts in zip(whole, *ranks, strict=True):
        joined = zip(*(by_domain(part) for part in parts), strict=True)
        assert by_domain(batch) == [left + right for left, right in joined]


@pytest.mark.parametrize("first", [1, 2])
def test_ranks_resume_with_the_batch_after_the_last(first):
    half = dict(source=2, target_labeled=1, target_unlabeled=3)
    for rank in (0, 1):
        whole = list(make(half, epoch=1, rank=rank, world_size=2))
        resumed = make(half, epoch=1, rank=rank, world_size=2)
        resumed.first_batch = first
        rest = list(resumed)
        assert rest == whole[first:]
        assert [b.seeds for b in rest] == [b.seeds for b in whole[first:]]


def test_domains_of_one_size_are_shuffled_differently():
    dataset = make().sampler.dataset
    dataset.domains, dataset._lens = ["source", "target_unlabeled"], [50, 50]
    dataset._domain_of_part = dataset.domains
    dataset._len = 100
    counts = dict(source=50, target_unlabeled=50)
    sampler = DefaultSampler(dataset, shuffle=True, seed=0)
    [batch] = MixedDomainBatchSampler(sampler, 100, counts)
    source, target = batch[:50], [index - 50 for index in batch[50:]]
    assert sorted(source) == sorted(target) == list(range(50))
    assert source != target
    sampler.set_epoch(1)  # every pass over a domain has its own order
    [batch] = MixedDomainBatchSampler(sampler, 100, counts)
    assert sorted(batch[:50]) == list(range(50)) and batch[:50] != source


def test_without_shuffling():
    assert by_domain(next(iter(make(shuffle=False))))[0] == [0, 1, 2, 3]


def test_a_domain_with_no_samples_is_not_used():
    counts = dict(source=2, target_labeled=1, target_unlabeled=0)
    sampler = make(counts)
    assert len(sampler) == 5
    for batch in sampler:
        assert [len(part) for part in by_domain(batch)] == [2, 1, 0]


REFUSED = {
    # arguments, what the error says
    "a missing domain": (
        dict(counts=dict(target_labeled=4)),
        "each domain of the dataset, which has .'source', 'target_l.*', 'target_unl",
    ),
    "an unknown domain": (dict(counts=dict(COUNTS, moon=1)), "of each domain"),
    "none of a domain": (
        dict(counts=dict(COUNTS, source=-1)),
        "source.: -1, .*number of samples",
    ),
    "a half of a sample": (
        dict(counts=dict(source=4.5, target_labeled=1.5, target_unlabeled=4)),
        "number of samples",
    ),
    "a count of text": (
        dict(counts=dict(COUNTS, source="4"), batch_size=10),
        "number of samples",
    ),
    "another sum": (dict(batch_size=9), "batches of 10, but .* batch_size is 9"),
    "an epoch of an unknown domain": (dict(epoch_domain="moon"), "epoch_domain='moon'"),
}


@pytest.mark.parametrize("kwargs, message", REFUSED.values(), ids=REFUSED)
def test_sampler_config_is_refused(kwargs, message):
    with pytest.raises(ValueError, match=message):
        make(**kwargs)


def test_other_datasets_are_refused():
    sampler = SimpleNamespace(dataset=[1, 2])
    with pytest.raises(TypeError, match="MixedDomainDataset.* list"):
        MixedDomainBatchSampler(sampler, 2, dict(source=2))
