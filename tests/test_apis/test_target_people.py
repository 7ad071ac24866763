import pytest
from mmpose.registry import DATASETS
from tiny_domains import COCO_LIMBS, MPII_LIMBS
from tiny_run import UDA, run_config

from mmpose_da.apis.target_people import people_of, spread, taught_joints
from mmpose_da.structures import joint_definition


@pytest.fixture
def cfg(coco, mpii, tmp_path):
    return run_config(tmp_path / "run", coco, mpii, UDA)


def test_target_has_no_labels_and_the_source_has(cfg):
    target = DATASETS.build(people_of(cfg, "target"))
    assert len(target) == 10 and target.domains == ["target_unlabeled"]
    assert "keypoints" not in target[0]["data_samples"].gt_instances
    source = DATASETS.build(people_of(cfg, "source"))
    assert len(source) == 6
    assert source[0]["data_samples"].gt_instances.keypoints.shape == (1, 16, 2)


def test_fewer_people_are_evenly_spread(cfg):
    every = DATASETS.build(people_of(cfg, "target"))
    some = DATASETS.build(people_of(cfg, "target", 4))
    ids = [some.get_data_info(i)["id"] for i in range(len(some))]
    assert ids == [every.get_data_info(i)["id"] for i in (0, 2, 5, 7)]
    assert len(DATASETS.build(people_of(cfg, "target", 99))) == 10
    assert spread(10, 4) == [0, 2, 5, 7] and spread(3, 9) == [0, 1, 2]
    assert spread(5, 0) == []


def test_taught_joints_are_those_of_the_source(cfg):
    names = joint_definition("MpiiDataset")["keypoint_id2name"]
    assert len(COCO_LIMBS) == len(MPII_LIMBS)
    limbs = {names[index] for index in MPII_LIMBS}
    assert taught_joints(cfg) == limbs | {"pelvis", "thorax"}
    cfg.train_dataloader.dataset.source = None
    assert taught_joints(cfg) == set(names.values())


def test_what_is_not_there(cfg):
    cfg.train_dataloader.dataset.source = None
    with pytest.raises(ValueError, match="the run has no source"):
        people_of(cfg, "source")
    cfg.val_dataloader = cfg.test_dataloader = None
    with pytest.raises(ValueError, match="neither a val_dataloader nor"):
        people_of(cfg, "target")
    cfg.train_dataloader.dataset = dict(type="CocoDataset")
    with pytest.raises(ValueError, match="does not train with a MixedDomainDataset"):
        people_of(cfg, "target")
