"""Every config in 3D: it parses, fits together, makes a model, and trains."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.runner import Runner
from mmengine.structures import InstanceData
from mmpose.registry import DATASETS, METRICS, MODELS
from raw_sets import spread, write_clip, write_h36m
from tiny_domains import write_mpii
from tiny_domains_3d import pose3d_config, write_pose3d

from mmpose_da.apis import load_config
from mmpose_da.apis.self_training import SelfTraining, self_train
from mmpose_da.structures import GROUPS, joint_definition

FOLDER = Path(__file__).parents[1] / "configs/da_3d"
CONFIGS = sorted(FOLDER.glob("*.py"))
#: Table 1 of Zhang et al., without MPII; the source model is a row of its own.
PAPER = {"pretrain", "dann", "self-training", "dfa", "oracle"}
PAIR = "surreal2h36m3d_res50"


@pytest.fixture(autouse=True)
def _default_data_root(monkeypatch):
    monkeypatch.delenv("MMPOSE_DA_DATA", raising=False)


def load(row: str) -> Config:
    return Config.fromfile(FOLDER / f"{PAIR}_{row}.py")


def domains_of(cfg: Config) -> set[str]:
    """The domains of the dataset; the rounds of self-training add pseudo-labels."""
    dataset = cfg.train_dataloader.dataset
    labeled = dataset.get("labeled_target")
    domains = {"source"} if dataset.get("source") else set()
    if dataset.get("target"):
        domains |= {"target_labeled"} if labeled else set()
        domains |= set() if labeled == dict(ratio=1.0) else {"target_unlabeled"}
        domains |= {"target_pseudo"} if cfg.get("self_training") else set()
    return domains


def test_every_row_of_the_paper_is_there():
    names = {path.stem for path in CONFIGS}
    assert {f"{PAIR}_{row}" for row in PAPER} <= names


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_config_fits_together(path):
    cfg = Config.fromfile(path)
    loader = cfg.train_dataloader
    counts = loader.batch_sampler.samples_per_domain
    assert set(counts) == domains_of(cfg)
    assert sum(counts.values()) == loader.batch_size
    epoch_domain = loader.batch_sampler.get("epoch_domain")
    assert epoch_domain is None or counts[epoch_domain] > 0
    if "studio" not in path.stem:
        assert cfg.auto_scale_lr.base_batch_size == loader.batch_size

    joints = joint_definition(cfg.model.joints)
    assert loader.dataset.joints == cfg.model.joints == "Pose3dDataset"
    assert cfg.model.head.out_channels == joints["num_keypoints"] == 17
    codec = {key: value for key, value in cfg.codec.items() if key != "_scope_"}
    assert cfg.model.head.decoder == codec
    if cfg.train_cfg.type != "AdaBNLoop":
        # Depth is in input pixels before it becomes a label.
        kinds = [transform.type for transform in loader.dataset.pipeline]
        assert kinds.index("TopdownAffine") < kinds.index("TransformDepth")
        assert kinds.index("TransformDepth") < kinds.index("GenerateTarget")
        encoder = loader.dataset.pipeline[kinds.index("GenerateTarget")].encoder
        assert encoder == codec
    for part in ("val", "test"):
        dataset = cfg[f"{part}_dataloader"].dataset
        assert dataset.pipeline == cfg.val_pipeline and dataset.test_mode
        assert "camera" in dataset.pipeline[-1].meta_keys
        metrics = cfg[f"{part}_evaluator"]
        assert [metric.mode for metric in metrics] == ["mpjpe", "p-mpjpe"]
        assert dataset.data_root.startswith("data/")
    assert cfg.target_metric == "MPJPE"


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_runtime_is_exact_whatever_starts_the_run(path, load_tool):
    cfg = Config.fromfile(path)
    assert cfg.custom_imports.imports == ["mmpose_da"]
    assert cfg.runner_type == "ConciseLogRunner"
    exact = {"ExactEpochBasedTrainLoop", "ExactIterBasedTrainLoop", "AdaBNLoop"}
    assert cfg.train_cfg.type in exact and "by_epoch" not in cfg.train_cfg
    hooks = cfg.default_hooks
    assert hooks.checkpoint.type == "SafeCheckpointHook"
    assert hooks.checkpoint.save_best is None
    assert hooks.non_finite.type == "NonFiniteHook"
    assert hooks.checkpoint_match.type == "CheckpointMatchHook"
    for name in ("train_dataloader", "val_dataloader", "test_dataloader"):
        assert cfg[name].worker_init_fn == dict(type="end_with_parent")
    if not cfg.get("self_training"):
        # The command line adds nothing that `Runner.from_cfg` would lack.
        tool = load_tool("train")
        trained = tool.make_config(tool.parse_args([str(path)])).to_dict()
        added = dict(work_dir=f"work_dirs/{path.stem}", launcher="none")
        assert trained == dict(cfg.to_dict(), **added)


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_model_is_built_with_what_its_adaptations_need(path):
    cfg = Config.fromfile(path)
    model = MODELS.build(cfg.model)
    domains = domains_of(cfg)
    for adaptation in model.adaptations.values():
        for need in adaptation.needs:
            assert domains.intersection(GROUPS.get(need, (need,)))
    assert set(model.adaptations) == set(cfg.model.get("adaptations", {}))
    with torch.no_grad():
        width, height = cfg.codec.input_size
        model.train()
        maps = model.head(model.student.extract_feat(torch.zeros(2, 3, height, width)))
    w, h, d = cfg.codec.heatmap_size
    expected = [(2, 17, h, w), (2, 17, d, w), (2, 17, h, d)]
    assert [tuple(one.shape) for one in maps] == expected


def test_pretraining_is_that_of_the_paper():
    """Zhang et al., Sec. 4.2."""
    cfg = load("pretrain")
    assert cfg.model.backbone.depth == 50
    assert cfg.model.backbone.init_cfg.checkpoint == "torchvision://resnet50"
    assert cfg.codec.input_size == (256, 256)
    assert cfg.codec.heatmap_size == (32, 32, 32) and cfg.codec.sigma == 1
    assert cfg.model.head.loss.loss_weight == 0.5  # alpha
    assert cfg.optim_wrapper.optimizer == dict(type="SGD", lr=0.1)
    assert cfg.train_cfg.max_epochs == 150
    assert cfg.train_dataloader.batch_size == 32
    oracle = load("oracle")
    for key in ("optim_wrapper", "train_cfg", "param_scheduler", "codec"):
        assert oracle[key] == cfg[key]
    assert oracle.model.target_loss_weight == 1


@pytest.mark.parametrize("row", ["self-training", "dfa"])
def test_adaptation_is_that_of_the_paper(row):
    """Zhang et al., Sec. 4.2 and Table 2."""
    cfg = load(row)
    policy = SelfTraining.of(cfg)
    assert policy.rounds == 20
    assert (policy.initial, policy.step, policy.maximum) == (0.6, 0.05, 0.99)
    assert cfg.train_cfg.max_epochs == 2
    counts = cfg.train_dataloader.batch_sampler.samples_per_domain
    assert counts == dict(source=8, target_pseudo=8, target_unlabeled=0)
    alpha = cfg.model.head.loss.loss_weight
    assert alpha == 0.05
    assert alpha * cfg.model.pseudo_loss_weight == pytest.approx(0.1)  # beta
    assert cfg.optim_wrapper.optimizer == dict(type="SGD", lr=0.1)
    assert len(policy.labeling["views"]) == 2  # and the image itself


def test_adapted_rows_start_from_the_last_checkpoint_of_the_pretrained_model():
    pretrain = load("pretrain")
    for row in ("dann", "self-training", "dfa"):
        epoch = pretrain.train_cfg.max_epochs
        start = f"work_dirs/{PAIR}_pretrain/epoch_{epoch}.pth"
        assert load(row).load_from == start


def test_rows_of_self_training_differ_in_the_alignment_alone():
    plain, aligned = load("self-training").to_dict(), load("dfa").to_dict()
    assert aligned["model"].pop("adaptations") == dict(
        dfa=dict(type="DomainFeatureAlignment")
    )
    assert aligned == plain


def test_dann_trains_for_as_many_epochs_as_all_rounds():
    rounds, dann = load("self-training"), load("dann")
    epochs = rounds.self_training.rounds * rounds.train_cfg.max_epochs
    assert dann.train_cfg.max_epochs == epochs
    assert dann.model.head.loss == rounds.model.head.loss
    assert dann.train_dataloader.batch_sampler.epoch_domain == "target_unlabeled"


def test_exact_coordinates_have_no_error(tmp_path):
    """Through crop, codec, estimator, and metric."""
    cfg = load("pretrain")
    write_pose3d(tmp_path / "people", 3)
    *crop, pack = cfg.val_pipeline
    labels = [
        dict(type="TransformDepth"),
        dict(type="GenerateTarget", encoder=cfg.codec),
    ]
    data = pose3d_config(
        tmp_path / "people", test_mode=True, pipeline=[*crop, *labels, pack]
    )
    dataset = DATASETS.build(data)
    model = MODELS.build(cfg.model)
    metric = METRICS.build(cfg.val_evaluator[0])
    metric.dataset_meta = dataset.metainfo
    for index in range(len(dataset)):
        sample = dataset[index]["data_samples"]
        assert (sample.gt_instance_labels.keypoint_weights > 0).all()
        exact, scores = model.head.decoder.decode(
            sample.gt_instance_labels.keypoint_labels.numpy()
        )
        # As the head does.
        exact[..., 2] *= sample.input_scale[0] / sample.input_size[0]
        found = InstanceData(keypoints=exact, keypoint_scores=scores)
        [sample] = model.deployed.add_pred_to_datasample([found], None, [sample])
        metric.process(None, [sample.to_dict()])
    assert metric.evaluate(len(dataset))["MPJPE"] == pytest.approx(0, abs=0.05)


def shrink(node, size=64, cells=8):
    """Give all codecs and crops in a config a small input, in place."""
    small = dict(input_size=(size, size), heatmap_size=(cells,) * 3)
    for key, value in node.items() if isinstance(node, dict) else enumerate(node):
        if key in small:
            node[key] = small[key]
        elif isinstance(value, (dict, list)):
            shrink(value, size, cells)


@pytest.fixture(scope="module")
def converted(repo, tmp_path_factory):
    """Tiny SURREAL and Human3.6M through their converters; the data folder."""
    folder = tmp_path_factory.mktemp("data")
    clip = folder / "cmu/train/run0/01_01/01_01_c0001_info.mat"
    write_clip(clip, spread(4, 24, low=80, high=160))
    people = spread(4, 17, low=300, high=700)
    write_h36m(folder / "h36m", people, people[:2])
    tools = repo / "tools/dataset_converters"
    for command in (
        [tools / "surreal.py", folder / "cmu", folder / "surreal", "--every", "1"],
        [tools / "h36m.py", folder / "h36m", "--every", "1"],
    ):
        done = subprocess.run(
            [sys.executable, *command], capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
    return folder


def small(row: str, pair: str | None = None) -> Config:
    """The full-size config of a row on a CPU: less of everything but the network."""
    other = FOLDER.parent / f"_base_/domains/{pair}.py" if pair else None
    cfg = Config(load_config(FOLDER / f"{PAIR}_{row}.py", other).to_dict())
    shrink(cfg._cfg_dict)
    cfg.model.backbone.init_cfg = None
    counts = cfg.train_dataloader.batch_sampler.samples_per_domain
    for domain, count in counts.items():
        counts[domain] = min(count, 2)
    cfg.train_dataloader.batch_size = sum(counts.values())
    for name in ("train", "val", "test"):
        cfg[f"{name}_dataloader"].update(num_workers=0, persistent_workers=False)
    return cfg


@pytest.mark.slow
def test_pretraining_and_adaptation_run(converted, tmp_path, monkeypatch):
    """Two iterations each, on files of the converters; both save and evaluate."""
    monkeypatch.setenv("MMPOSE_DA_DATA", str(converted))
    cfg = small("pretrain")
    cfg.train_cfg.update(max_epochs=1, val_interval=1)
    cfg.work_dir = str(tmp_path / "pretrain")
    runner = Runner.from_cfg(cfg)
    runner.train()
    assert runner.iter == 2
    metrics = runner.val()
    found = set(metrics)
    assert {"MPJPE", "P-MPJPE", "MPJPE_Directions"} <= found
    assert all(np.isfinite(value) for value in metrics.values())

    cfg = small("dfa")
    cfg.load_from = str(tmp_path / "pretrain/epoch_1.pth")
    cfg.self_training.update(rounds=1, initial=1.0, maximum=1.0)
    cfg.train_cfg.update(max_epochs=1, val_interval=1)
    result = self_train(cfg, tmp_path / "dfa", threads=1)
    assert result.checkpoint.name == "epoch_1.pth"
    assert np.isfinite(result.metrics["MPJPE"])
    start, end = (
        torch.load(path, map_location="cpu")
        for path in (cfg.load_from, result.checkpoint)
    )
    assert start["meta"]["iter"] == end["meta"]["iter"] == 2
    before, after = start["state_dict"], end["state_dict"]
    assert before.keys() == after.keys()
    changed = {key.split(".")[0] for key in before if (before[key] != after[key]).any()}
    assert changed == {"backbone", "head"}


@pytest.mark.slow
def test_people_with_and_without_depth_are_in_one_batch(
    converted, tmp_path, monkeypatch
):
    """The rows with MPII of Table 1: a step that both kinds of people train."""
    write_mpii(converted / "mpii", 5)
    (converted / "mpii/annotations").mkdir()
    people = converted / "mpii/annotations.json"
    people.rename(converted / "mpii/annotations/mpii_train.json")
    monkeypatch.setenv("MMPOSE_DA_DATA", str(converted))
    cfg = small("pretrain", "surreal-mpii2h36m3d")
    cfg.train_dataloader.batch_size = 8
    cfg.train_dataloader.batch_sampler.samples_per_domain = dict(source=8)
    cfg.train_cfg.update(max_epochs=1, val_interval=1)
    cfg.work_dir = str(tmp_path)
    runner = Runner.from_cfg(cfg)
    dataset = runner.train_dataloader.dataset
    ids = dataset.metainfo["keypoint_name2id"]
    with_depth = []
    for index in range(len(dataset)):
        labels = dataset[index]["data_samples"].gt_instance_labels
        with_depth.append(bool(labels.depth_weights.any()))
        if not with_depth[-1]:
            info = dataset.get_data_info(index)
            points, seen = info["keypoints"][0], info["keypoints_visible"][0, :, 0]
            spine, ends = ids["spine"], [ids["root"], ids["thorax"]]
            assert seen[spine] == seen[ends].min()
            if seen[spine]:
                np.testing.assert_allclose(points[spine], points[ends].mean(0), 1e-4)
    assert 0 < sum(with_depth) < len(with_depth) == len(dataset)
    runner.train()
    assert runner.iter > 0
    assert np.isfinite(runner.val()["MPJPE"])
