"""What the command line changes in a config."""

import pytest
from mmengine.config import Config

from mmpose_da.apis import config_text, merge_options, with_pair


@pytest.mark.parametrize("row", ["_source-only", "_ssda", "_oracle"])
def test_pair_replaces_the_domains_alone(repo, row):
    path = repo / f"configs/da/studio2street_res18{row}.py"
    cfg, before = Config.fromfile(path), Config.fromfile(path)
    pair = Config.fromfile(repo / "configs/_base_/domains/studio2lspet.py")
    new = with_pair(cfg, pair)
    assert cfg.to_dict() == before.to_dict()

    dataset = new.train_dataloader.dataset
    assert new.model.joints == dataset.joints == new.joints == "LspDataset"
    assert new.model.head.out_channels == 14
    assert dataset.get("source") == (None if row == "_oracle" else pair.source)
    assert dataset.get("target") == (None if row == "_source-only" else pair.target)
    for part in ("val", "test"):
        expected = dict(pair.target_val, pipeline=before.val_pipeline)
        assert new[f"{part}_dataloader"].dataset == expected
        assert new[f"{part}_evaluator"] == pair.target_evaluator
    assert new.target_metric == "PCK@0.1 (12 joints)"

    # Nothing else: with its own pair, a config is what it was.
    own = Config.fromfile(repo / "configs/_base_/domains/studio2street.py")
    assert with_pair(new, own).to_dict() == before.to_dict()


def test_pair_without_a_key_is_an_error_that_names_it(repo):
    cfg = Config.fromfile(repo / "configs/da/studio2street_res18.py")
    path = repo / "configs/_base_/domains/studio2lspet.py"
    pair = Config.fromfile(path).to_dict()
    without = Config({k: v for k, v in pair.items() if k not in ("joints", "source")})
    with pytest.raises(ValueError, match="no `joints`, `source`;"):
        with_pair(cfg, without)
    without = Config({k: v for k, v in pair.items() if k != "target_evaluator"})
    with pytest.raises(ValueError, match="no `target_evaluator`;"):
        with_pair(cfg, without)


def test_pair_without_evaluation_evaluates_nothing(repo):
    """Not on the set of the stock config, which has nothing to do with the pair."""
    cfg = Config.fromfile(repo / "configs/da/coco2mpii_res50.py")
    pair = Config.fromfile(repo / "configs/_base_/domains/studio2lspet.py").to_dict()
    pair = Config({key: pair[key] for key in ("joints", "source", "target")})
    new = with_pair(cfg, pair)
    for part in ("val", "test"):
        for key in ("cfg", "dataloader", "evaluator"):
            assert new[f"{part}_{key}"] is None
    assert new.get("target_val") is None and new.get("target_metric") is None


def test_config_without_domains_takes_no_pair(repo):
    cfg = Config(dict(model=dict(type="A"), train_dataloader=dict(dataset=dict())))
    pair = Config.fromfile(repo / "configs/_base_/domains/studio2lspet.py")
    with pytest.raises(ValueError, match="no domains that a pair could replace"):
        with_pair(cfg, pair)


@pytest.fixture
def cfg(repo):
    return Config.fromfile(repo / "configs/da/studio2street_res18.py")


def test_options_are_merged(cfg):
    options = {
        "model.adaptations.cafa.weight": 0.3,
        "from_scratch": True,
        "train_dataloader.dataset.pipeline.3.rotate_factor": 5,
        "optim_wrapper.accumulative_counts": 2,
    }
    merge_options(cfg, options)
    assert cfg.model.adaptations.cafa.weight == 0.3 and cfg.from_scratch is True
    assert cfg.train_dataloader.dataset.pipeline[3].rotate_factor == 5
    assert cfg.optim_wrapper.accumulative_counts == 2


@pytest.mark.parametrize(
    "key, message",
    [
        ("from_scrach", "'from_scrach' would have no effect.*mean 'from_scratch'"),
        ("codec.sigma", r"a variable.*set model.head.decoder and train_dataload"),
        ("xyz.a", "'xyz.a' would have no effect: no part of a run reads it$"),
    ],
)
def test_option_that_nothing_reads_is_refused(cfg, key, message):
    before = cfg.to_dict()
    with pytest.raises(ValueError, match=message):
        merge_options(cfg, {"train_cfg.max_iters": 3, key: 1})
    assert cfg.to_dict() == before


def test_config_text_reads_back(cfg, tmp_path):
    path = tmp_path / "config.py"
    path.write_text(config_text(cfg.to_dict()))
    assert Config.fromfile(path).to_dict() == cfg.to_dict()
