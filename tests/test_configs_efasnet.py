"""The configs of EFASNet: they parse, fit together, and make a model."""

import re
from copy import deepcopy
from functools import cache
from pathlib import Path

import pytest
import yaml
from mmengine.config import Config
from mmpose.registry import DATASETS, METRICS, MODELS

from mmpose_da.apis.benchmark import load_row, row_names, run_benchmark
from mmpose_da.apis.complexity import complexity, read_config
from mmpose_da.structures import joint_definition

FOLDER = Path(__file__).parents[1] / "configs/efasnet"
CONFIGS = sorted(FOLDER.glob("*.py"))
FULL = [path for path in CONFIGS if path.stem.startswith("td-hm")]
PARTS = ("baseline", "fasm", "ff", "duc", "efasnet")
SIZES = dict(
    coco=("256x192", "384x288"),
    crowdpose=("256x192", "384x288"),
    mpii=("256x256", "384x384"),
)


def figures(path: Path) -> dict[str, tuple[str, str]]:
    """Parameters (M) and GFLOPs of each config in the tables of a page."""
    row = re.compile(r"^\| \[?([\w.-]+).* \| ([\d.]+) \| ([\d.]+) \|$", re.M)
    return {name: (m, g) for name, m, g in row.findall(path.read_text("utf-8"))}


README = figures(FOLDER / "README.md")
PAGE = figures(FOLDER.parents[1] / "docs/efasnet.md")


@pytest.fixture(autouse=True)
def _default_data_root(monkeypatch):
    monkeypatch.delenv("MMPOSE_DA_DATA", raising=False)


@cache
def _read(path: Path) -> Config:
    return Config.fromfile(path)


def read(path: Path) -> Config:
    return deepcopy(_read(path))


def test_every_config_is_there():
    names = {
        f"td-hm_efasnet-res{depth}_8xb64-210e_{data}-{size}"
        for depth in (50, 101, 152)
        for data, sizes in SIZES.items()
        for size in sizes
    }
    names |= {
        f"td-hm_res50_{part}-8xb64-210e_coco-256x192" for part in ("fasm", "ff", "duc")
    }
    names |= {
        f"{data}_res50-small_{part}" for data in ("street", "crowd") for part in PARTS
    }
    assert {path.stem for path in CONFIGS} == names


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_runtime_is_exact_whatever_starts_the_run(path, load_tool):
    cfg = read(path)
    assert cfg.custom_imports.imports == ["mmpose_da"]
    assert cfg.runner_type == "ConciseLogRunner"
    assert cfg.train_cfg.type.startswith("Exact") and "by_epoch" not in cfg.train_cfg
    hooks = cfg.default_hooks
    assert hooks.checkpoint.type == "SafeCheckpointHook"
    assert hooks.checkpoint.save_best is None
    assert hooks.non_finite.type == "NonFiniteHook"
    assert hooks.checkpoint_match.type == "CheckpointMatchHook"
    for name in ("train_dataloader", "val_dataloader"):
        assert cfg[name].worker_init_fn == dict(type="end_with_parent")
    tool = load_tool("train")
    trained = tool.make_config(tool.parse_args([str(path)])).to_dict()
    added = dict(work_dir=f"work_dirs/{path.stem}", launcher="none")
    assert trained == dict(cfg.to_dict(), **added)


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_config_fits_together(path):
    cfg = read(path)
    loader, codec = cfg.train_dataloader, cfg.model.head.decoder
    [count] = loader.batch_sampler.samples_per_domain.values()
    assert count == loader.batch_size
    if path in FULL:
        assert cfg.auto_scale_lr.base_batch_size == 8 * loader.batch_size
        assert cfg.train_cfg.max_epochs == 210
        height, width = map(int, path.stem.rpartition("-")[2].split("x"))
        assert codec.input_size == (width, height)
    assert [4 * side for side in codec.heatmap_size] == [*codec.input_size]
    for pipeline in (loader.dataset.pipeline, cfg.val_dataloader.dataset.pipeline):
        [affine] = [t for t in pipeline if t.type == "TopdownAffine"]
        assert affine.input_size == codec.input_size
    [target] = [t for t in loader.dataset.pipeline if t.type == "GenerateTarget"]
    assert target.encoder == codec
    assert cfg.test_dataloader == cfg.val_dataloader
    assert cfg.test_evaluator == cfg.val_evaluator
    source = loader.dataset.get("source") or loader.dataset.target
    for dataset in (source, cfg.val_dataloader.dataset):
        assert dataset.data_root.startswith("data/")
    joints = joint_definition(loader.dataset.joints)
    assert cfg.model.head.out_channels == joints["num_keypoints"]
    lazy = dict(cfg.val_dataloader.dataset, lazy_init=True, pipeline=[])
    assert (
        DATASETS.build(lazy).metainfo["keypoint_id2name"]
        == (joints["keypoint_id2name"])
    )


def test_data_root_from_the_environment(monkeypatch):
    monkeypatch.setenv("MMPOSE_DA_DATA", "/elsewhere")
    for path in CONFIGS:
        if not path.stem.endswith("_baseline") and "efasnet-res50" not in path.stem:
            continue  # they extend these
        cfg = Config.fromfile(path)
        source = cfg.train_dataloader.dataset.get("source")
        files = [
            (source or cfg.train_dataloader.dataset.target).data_root,
            cfg.val_dataloader.dataset.data_root,
            cfg.val_dataloader.dataset.get("bbox_file"),
            cfg.val_dataloader.dataset.get("headbox_file"),
            cfg.val_evaluator.get("ann_file"),
        ]
        assert all(file.startswith("/elsewhere/") for file in files if file), path


@pytest.mark.parametrize("path", FULL, ids=lambda path: path.stem)
def test_weights_of_imagenet_are_those_of_the_depth(path):
    backbone = read(path).model.backbone
    assert backbone.init_cfg.checkpoint == f"torchvision://resnet{backbone.depth}"
    assert f"res{backbone.depth}_" in path.stem


def parts_of(cfg: Config) -> tuple:
    neck = cfg.model.get("neck")
    return (
        cfg.model.backbone.type,
        neck and (neck.type, neck.upsample_cfg.type),
        cfg.model.head.type,
        len(cfg.model.head.deconv_out_channels or ()),
    )


@pytest.mark.parametrize("data", ["coco", "street", "crowd"])
def test_rows_differ_in_the_parts_alone(data):
    if data == "coco":
        paths = {part: f"td-hm_res50_{part}-8xb64-210e_coco-256x192" for part in PARTS}
        paths["efasnet"] = "td-hm_efasnet-res50_8xb64-210e_coco-256x192"
        del paths["baseline"]  # MMPose's
    else:
        paths = {part: f"{data}_res50-small_{part}" for part in PARTS}
    rows = {part: read(FOLDER / f"{name}.py") for part, name in paths.items()}
    expected = dict(
        baseline=("ResNet", None, "HeatmapHead", 3),
        fasm=("EFASNet", None, "HeatmapHead", 3),
        ff=("ResNet", ("FeatureFusion", "nearest"), "HeatmapHead", 0),
        duc=("ResNet", None, "DUCHead", 3),
        efasnet=("EFASNet", ("FeatureFusion", "DUC"), "HeatmapHead", 0),
    )
    assert {part: parts_of(cfg) for part, cfg in rows.items()} == {
        part: expected[part] for part in rows
    }
    for cfg in rows.values():
        cfg.pop("model")
        assert cfg.to_dict() == next(iter(rows.values())).to_dict()


def test_the_full_network_has_fewer_parameters_than_the_small_baseline():
    baseline, full = (
        complexity(read(FOLDER / f"crowd_res50-small_{part}.py"))
        for part in ("baseline", "efasnet")
    )
    assert full.parameters < baseline.parameters
    assert full.multiply_adds < 1.02 * baseline.multiply_adds


@pytest.mark.parametrize("data", ["street", "crowd"])
def test_small_rows_are_a_benchmark(data, monkeypatch, tmp_path):
    paths = [str(FOLDER / f"{data}_res50-small_{part}.py") for part in PARTS]
    assert row_names(paths) == [*PARTS]
    metric = dict(street="PCKh@0.5 (12 joints)", crowd="crowdpose/AP")[data]
    assert {load_row(path).target_metric for path in paths} == {metric}
    started = []

    def start(rows, seeds, metric, *args):
        started.append((list(rows), metric))
        return []

    monkeypatch.setattr("mmpose_da.apis.benchmark.run_all", start)
    report, _ = run_benchmark(paths, tmp_path, "command")
    assert started == [([*PARTS], metric)]
    assert report.count("| all |") == len(PARTS)


def test_crowds_are_evaluated_as_crowdpose():
    small = read(FOLDER / "crowd_res50-small_baseline.py")
    full = read(FOLDER / "td-hm_efasnet-res50_8xb64-210e_crowdpose-256x192.py")
    for cfg in (small, full):
        evaluator = dict(cfg.val_evaluator)
        ann_file = evaluator.pop("ann_file")
        assert ann_file.endswith(cfg.val_dataloader.dataset.ann_file)
        metric = METRICS.build(dict(evaluator, ann_file=None))
        assert metric.iou_type == "keypoints_crowd" and metric.prefix == "crowdpose"
        assert not metric.use_area


@pytest.mark.parametrize("path", FULL, ids=lambda path: path.stem)
def test_full_size_model_is_built(path):
    model = MODELS.build(read(path).model)
    assert model.head.final_layer.in_channels == 256


def test_metafile_lists_the_full_size_configs(repo):
    content = yaml.safe_load((FOLDER / "metafile.yml").read_text())
    [collection] = content["Collections"]
    listed = {model["Config"]: model for model in content["Models"]}
    assert set(listed) == {str(path.relative_to(repo)) for path in FULL}
    for config, model in listed.items():
        assert model["Name"] == Path(config).stem
        assert model["In Collection"] == collection["Name"]
        assert (repo / model["Config"]).is_file()


def test_tables_and_metafile_have_the_same_figures():
    content = yaml.safe_load((FOLDER / "metafile.yml").read_text())
    metadata = {model["Name"]: model["Metadata"] for model in content["Models"]}
    listed = {
        name: (f"{data['Parameters'] / 1e6:.2f}", f"{data['FLOPs'] / 1e9:.3f}")
        for name, data in metadata.items()
    }
    of_mmpose = README.keys() - listed.keys()
    assert len(of_mmpose) == 8
    assert listed == {name: README[name] for name in README.keys() - of_mmpose}
    # The page has the small rows, too, and not CrowdPose.
    assert {name for name in PAGE if not name.startswith("td-hm")} == {
        f"crowd_res50-small_{part}" for part in PARTS
    }
    on_both = {name for name in README if "crowdpose" not in name}
    assert {name: PAGE.get(name) for name in on_both} == {
        name: README[name] for name in on_both
    }


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(README.keys() | PAGE.keys()))
def test_figures_are_those_of_the_networks(name):
    path = FOLDER / f"{name}.py"
    of_mmpose = f"mmpose::body_2d_keypoint/topdown_heatmap/coco/{name}.py"
    cfg = read(path) if path.is_file() else read_config(of_mmpose)
    row = complexity(cfg)
    found = f"{row.parameters / 1e6:.2f}", f"{row.multiply_adds / 1e9:.3f}"
    assert found == (README | PAGE)[name]
