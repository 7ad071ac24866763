"""Two processes on the CPU: joint results, and no deadlocks."""

import pickle
from collections import Counter
from itertools import groupby
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.model import MMDistributedDataParallel
from mmengine.runner import Runner
from mmengine.structures import InstanceData
from mmpose.registry import MODELS
from tiny_domains import (
    COCO_MIDPOINTS,
    VAL_PIPELINE,
    coco_config,
    mpii_config,
    write_coco,
    write_mpii,
)
from tiny_model import (
    LOCATION_FREE_HEAD,
    REGDA_HEAD,
    batch,
    build,
    mark_parts,
    model_config,
)
from tiny_run import LIMBS, UDA, run_config
from torch import distributed
from torch.nn.modules.batchnorm import _BatchNorm
from two_processes import join, spawn

from mmpose_da.engine import EMATeacherHook

#: People of each domain: with batches of 2 in two processes the last one is uneven.
PEOPLE = 7

#: The average over ranks is the loss of the joint batch.
JOINED = dict(
    pose={},
    entropy=dict(type="EntropyMinimization"),
    info_max=dict(type="InformationMaximization", loss=dict(type="InfoMaxLoss")),
    dann=dict(
        type="DomainAdversarial", discriminator=dict(type="GlobalDomainDiscriminator")
    ),
    local=dict(
        type="DomainAdversarial",
        feature="backbone.layer1",
        discriminator=dict(type="LocalDomainDiscriminator", in_channels=8),
        loss=dict(type="AdversarialLoss", mode="least_squares"),
    ),
    isa=dict(type="ISA"),
    isa_feature=dict(type="ISA", compare="feature"),
    mean_teacher=dict(type="MeanTeacher"),
    dfa=dict(type="DomainFeatureAlignment"),
    regda=dict(type="RegDA"),
    parts=dict(type="PartClassification"),
    location_free={},
)
#: Each rank computes the loss of its own images, as the docstrings say.
OF_EACH_RANK = dict(
    dan=dict(type="FeatureAlignment"),
    cafa=dict(type="CAFA", exchange_prob=1.0),
    ihta=dict(type="IHTA", loss=dict(type="IHTALoss", threshold=0.0)),
    surest=dict(type="MeanTeacher", share=0.25),
)
METHODS = JOINED | OF_EACH_RANK

#: Batches of the two ranks that make one with all domains only together.
EVERYTHING = dict(source=2, target_labeled=2, target_unlabeled=2)
LOPSIDED = dict(
    no_labels=(EVERYTHING, dict(target_unlabeled=3)),
    no_target=(dict(target_labeled=2, target_unlabeled=2), dict(source=3)),
    no_unlabeled=(EVERYTHING, dict(source=2, target_labeled=1)),
)
STYLE = dict(type="StyleTransfer", style=dict(type="ColorStatisticsStyle"), share=1.0)


def make_location_free():
    """All parts of the model, with a backbone of the three stages that it uses."""
    torch.manual_seed(0)
    cfg = model_config(type="DomainAdaptiveTopdown", joints="MpiiDataset")
    stages = dict(num_stages=3, strides=(1, 2, 2), dilations=(1, 1, 1))
    cfg["backbone"].update(stages, out_indices=(0, 1, 2))
    cfg["head"] = dict(
        LOCATION_FREE_HEAD,
        pool=dict(kind="mass"),
        prototypes=dict(classify=False),
        relations={},
        joints="MpiiDataset",
    )
    return MODELS.build(cfg).train()


def make(adaptations):
    torch.manual_seed(0)
    of_regda = any(cfg["type"] == "RegDA" for cfg in adaptations.values())
    model = build(
        joints="MpiiDataset",
        head=REGDA_HEAD if of_regda else None,
        adaptations=adaptations,
    )
    with torch.no_grad():
        for parameter in model.head.parameters():
            if parameter.dim() > 1:
                parameter.mul_(50)  # new heads output heatmaps close to 0
    EMATeacherHook().update(model)  # as at the start of a run
    return model


def make_without_batch_statistics(name):
    if name == "location_free":
        model = make_location_free()
    else:
        model = make({name: METHODS[name]} if METHODS[name] else {})
    model = model.double()
    for module in model.modules():
        if isinstance(module, _BatchNorm):
            module.eval()
    return model


def locate(samples):
    """Give labeled samples the labels of a location-free head, beside heatmaps."""
    for sample in samples:
        if "gt_fields" in sample:
            sample.gt_instance_labels = InstanceData(
                keypoint_weights=torch.ones(1, 16),
                keypoint_labels=2 * torch.rand(1, 16, 2) - 1,
                part_labels=torch.randint(0, 2, (1, 16)).float(),
                part_weights=torch.ones(1, 16),
            )
    mark_parts(samples)


def whole_batch():
    torch.manual_seed(1)
    images, samples = batch(source=4, target_labeled=4, target_unlabeled=4)
    for sample in samples[:8]:
        sample.gt_fields.heatmaps = sample.gt_fields.heatmaps.double()
    locate(samples)
    return images.double(), samples


def half_batch(rank):
    """A rank's half of the images of each domain."""
    images, samples = whole_batch()
    chosen = []
    for _, group in groupby(range(len(samples)), lambda i: samples[i].domain):
        group = list(group)
        half = len(group) // 2
        chosen += group[rank * half : (rank + 1) * half]
    return images[chosen], [samples[i] for i in chosen]


def total_loss(model, images, samples):
    losses = model(images, samples, mode="loss")
    return sum(value for name, value in losses.items() if "loss" in name)


def gradients(model, *batches):
    """Of the mean over batches, by the name of the parameter."""
    (sum(total_loss(model, *each) for each in batches) / len(batches)).backward()
    return {
        name.removeprefix("module."): parameter.grad.clone()
        for name, parameter in model.named_parameters()
        if parameter.requires_grad
    }


def train(model, counts):
    """Parameters after two steps: an error in the first shows in the second."""
    wrapped = MMDistributedDataParallel(model, broadcast_buffers=False)
    optimizer = torch.optim.SGD(model.parameters(), 0.01)
    for _ in range(2):
        optimizer.zero_grad()
        images, samples = batch(**counts)
        locate(samples)
        total_loss(wrapped, images, samples).backward()
        optimizer.step()
        EMATeacherHook().update(model)
    return {k: p.detach() for k, p in model.named_parameters()}


def train_sure_and_unsure(rank):
    """One rank uses every pair and every joint, the other uses none."""
    ihta = dict(
        type="IHTA",
        loss=dict(type="IHTALoss", threshold=(-1.0, 1.0)[rank]),
        readout_weight=0,
    )
    teacher = dict(type="MeanTeacher", threshold=(-1e9, 1e9)[rank])
    return train(make(dict(ihta=ihta, teacher=teacher)), EVERYTHING)


def missing_everywhere():
    try:
        make(dict(dan=METHODS["dan"])).loss(*batch(source=2))
    except ValueError as error:
        return str(error)


def names_of_an_epoch(cfg):
    """Files of the source images that this rank sees, batch by batch."""
    loader = Runner.build_dataloader(cfg.train_dataloader, seed=0)
    return [
        [Path(s.img_path).name for s in data["data_samples"] if s.domain == "source"]
        for data in loader
    ]


def evaluate(cfg):
    """PCKh on MPII's people and AP on COCO's."""
    runner = Runner.from_cfg(cfg)
    return runner.val() | runner.test()


def run_rank(rank, folder, port):
    """Work of one of two processes; it saves the results."""
    cfg = join(rank, f"{folder}/config.py", port)

    results = dict(trained={}, gradients={})
    for name in METHODS:
        model = MMDistributedDataParallel(make_without_batch_statistics(name))
        results["gradients"][name] = gradients(model, half_batch(rank))
    methods = {name: cfg for name, cfg in METHODS.items() if cfg} | dict(style=STYLE)
    methods.pop("surest")  # one teacher is enough
    regda = dict(regda=methods.pop("regda"))  # it has a head of its own
    for case, counts in LOPSIDED.items():
        results["trained"][case] = train(make(methods), counts[rank])
        results["trained"][f"regda_{case}"] = train(make(regda), counts[rank])
        located = train(make_location_free(), counts[rank])
        results["trained"][f"location_free_{case}"] = located
    results["trained"]["pose_alone"] = train(make({}), LOPSIDED["no_labels"][rank])
    results["trained"]["sure_and_unsure"] = train_sure_and_unsure(rank)
    results["missing"] = missing_everywhere()
    results["epoch"] = names_of_an_epoch(cfg)
    results["metrics"] = evaluate(cfg)
    torch.save(results, f"{folder}/{rank}.pth")
    distributed.destroy_process_group()


def write_config(folder):
    write_coco(folder / "coco", PEOPLE)
    write_mpii(folder / "mpii", PEOPLE)
    source = coco_config(folder / "coco", joint_map=COCO_MIDPOINTS)
    cfg = run_config(folder / "work", source, mpii_config(folder / "mpii"), UDA)
    coco = coco_config(folder / "coco", test_mode=True, pipeline=VAL_PIPELINE)
    cfg.test_dataloader.dataset = coco
    cfg.test_evaluator = [
        dict(
            type="SharedJointsCocoMetric",
            joints=LIMBS,
            pred_joints="MpiiDataset",
            ann_file=coco["ann_file"],
        ),
        dict(type="DumpResults", out_file_path=str(folder / "results.pkl")),
    ]
    cfg.dump(folder / "config.py")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("ranks")


@pytest.fixture(scope="module")
def ranks(folder):
    """The saved results of both processes."""
    write_config(folder)
    spawn(run_rank, str(folder))
    return [torch.load(folder / f"{rank}.pth") for rank in (0, 1)]


def close(a, b):
    return all((a[name] - b[name]).norm() <= 1e-7 * b[name].norm() for name in b)


@pytest.mark.parametrize("name", METHODS)
def test_gradients(ranks, name):
    together = ranks[0]["gradients"][name]
    model = make_without_batch_statistics(name)
    whole = gradients(model, whole_batch())
    model.zero_grad()
    apart = gradients(model, half_batch(0), half_batch(1))
    assert together.keys() == whole.keys()
    assert close(together, apart) or name == "info_max"
    assert close(together, whole) == (name in JOINED)


@pytest.mark.parametrize(
    "case",
    [
        *(*LOPSIDED, "pose_alone", "sure_and_unsure"),
        *(f"regda_{case}" for case in LOPSIDED),
        *(f"location_free_{case}" for case in LOPSIDED),
    ],
)
def test_what_one_rank_has_not_stops_no_other(ranks, case):
    first, second = (rank["trained"][case] for rank in ranks)
    for name, parameter in first.items():
        assert torch.equal(parameter, second[name]), name
        assert torch.isfinite(parameter).all(), name


def test_a_domain_that_no_rank_has_is_missed_by_all(ranks):
    for rank in ranks:
        assert "needs images of ['target'] in every batch" in rank["missing"]


def test_an_epoch_has_every_sample(ranks):
    first, second = (rank["epoch"] for rank in ranks)
    assert [len(batch) for batch in first] == [len(batch) for batch in second] == [2, 2]
    seen = Counter(sum(first + second, []))
    assert len(seen) == PEOPLE and sorted(seen.values()) == [1] * (PEOPLE - 1) + [2]


def test_evaluation_has_every_sample_once(ranks, folder):
    with open(folder / "results.pkl", "rb") as file:
        together = pickle.load(file)
    assert sorted(result["id"] for result in together) == [
        10 * i for i in range(1, PEOPLE + 1)
    ]
    metrics = evaluate(Config.fromfile(folder / "config.py"))
    assert ranks[0]["metrics"] == pytest.approx(metrics)
    assert len(metrics) > 10 and metrics["PCKh@0.5 (12 joints)"] > 0
