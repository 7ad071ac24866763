"""Location-free pose estimation: its configs, and runs in miniature."""

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
import yaml
from killed_run import Kill, Runs
from mmengine.config import Config
from mmpose.apis import MMPoseInferencer, inference_topdown, init_model
from mmpose.registry import DATASETS, MODELS
from tiny_run import shorten

from mmpose_da.apis import publish
from mmpose_da.rendering import STREET, write_domain
from mmpose_da.structures import joint_definition

FOLDER = Path(__file__).parents[1] / "configs/location_free"
CONFIGS = sorted(FOLDER.glob("*.py"))
SETS, MODELS_OF_SETS = ("mpii", "coco", "crowdpose"), ("res50", "hrnet")
#: The parts of the model and the share of labeled people of each row.
ROWS = dict(
    cam=((), 0),
    encoder=(("encoder",), 0),
    prototypes=(("encoder", "prototypes"), 0),
    all=(("encoder", "prototypes", "relations"), 0),
)
ROWS["cam-crops"], ROWS["all-crops"] = ROWS["cam"], ROWS["all"]
ROWS["25"], ROWS["full"] = (ROWS["all"][0], 0.25), (ROWS["all"][0], 1.0)


@pytest.fixture(autouse=True)
def _default_data_root(monkeypatch):
    monkeypatch.delenv("MMPOSE_DA_DATA", raising=False)


def row_of(path: Path) -> str:
    return path.stem.rpartition("_")[2]


def test_every_row_is_there():
    pairs = [f"{name}_{model}" for name in SETS for model in MODELS_OF_SETS]
    expected = {f"{pair}_{row}" for pair in pairs for row in ROWS if "-" not in row}
    expected |= {f"street_res18_{row}" for row in ROWS}
    assert {path.stem for path in CONFIGS} == expected


def test_metafile_lists_the_full_size_configs():
    content = yaml.safe_load((FOLDER / "metafile.yml").read_text())
    listed = {Path(model["Config"]).stem for model in content["Models"]}
    assert listed == {p.stem for p in CONFIGS if not p.stem.startswith("street")}
    assert not any("Results" in model for model in content["Models"])


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_config_fits_together(path, load_tool):
    cfg = Config.fromfile(path)
    parts, share = ROWS[row_of(path)]
    head = cfg.model.head
    given = {p for p in ("encoder", "prototypes", "relations") if head.get(p)}
    assert given == set(parts)

    loader = cfg.train_dataloader
    counts, dataset = loader.batch_sampler.samples_per_domain, loader.dataset
    domains = {"target_labeled"} if share else set()
    domains |= {"target_unlabeled"} if share < 1 else set()
    assert set(counts) == domains and dataset.get("source") is None
    assert sum(counts.values()) == loader.batch_size
    assert dataset.get("labeled_target") == (dict(ratio=share) if share else None)

    definition = joint_definition(cfg.model.joints)
    assert dataset.joints == head.joints == cfg.model.joints
    assert head.out_channels == definition["num_keypoints"]
    people = dataset.target
    assert people.labels == "parts"
    width, height = cfg.codec.input_size
    assert people.part_crops.aspect_ratio == pytest.approx(width / height)
    kinds = [step.type for step in dataset.pipeline]
    crops = row_of(path).endswith("crops")
    use = "RandomPartCrop" if crops else "MarkPartCrops"
    order = [
        kind for kind in kinds if kind.endswith(("PartCrop", "PartCrops", "Affine"))
    ]
    assert order == (
        ["RandomPartCrop", "TopdownAffine"] if crops else ["TopdownAffine", use]
    )
    assert head.pool.kind == ("lse" if crops else "mass")
    if "part_pipeline" in cfg.val_dataloader.dataset:
        steps = cfg.val_dataloader.dataset.part_pipeline
        [step] = [step for step in steps if step.type == use]
        given = dataset.pipeline[kinds.index(use)]
        assert (
            step.get("zoom") == given.get("zoom") and step.get("whole", False) is False
        )
    for pipeline in (dataset.pipeline, cfg.val_pipeline):
        [affine] = [step for step in pipeline if step.type == "TopdownAffine"]
        assert affine == dict(type="TopdownAffine", input_size=cfg.codec.input_size)
    assert cfg.test_dataloader.dataset.pipeline == cfg.val_pipeline
    assert cfg.default_hooks.checkpoint.save_best is None
    tool = load_tool("train")
    trained = tool.make_config(tool.parse_args([str(path)])).to_dict()
    added = dict(work_dir=f"work_dirs/{path.stem}", launcher="none")
    assert trained == dict(cfg.to_dict(), **added)


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_model_is_built(path):
    """Maps at stride 4, those of the first CAM at stride 16."""
    if "hrnet" in path.stem and row_of(path) not in ("cam", "all"):
        pytest.skip("ResNet-50 has the same rows")
    if path.stem.startswith(("coco", "crowdpose")) and row_of(path) != "all":
        pytest.skip("the same model as for MPII, but for the number of joints")
    cfg = Config.fromfile(path)
    cfg.model.backbone.init_cfg = None
    model = MODELS.build(cfg.model).eval()
    width, height = cfg.codec.input_size
    with torch.no_grad():
        feats = model.extract_feat(torch.zeros(1, 3, height, width))
        found = model.head.part_maps(feats)
    count = cfg.model.head.out_channels
    cells = (height // 16, width // 16)
    assert found.maps["cam"].shape == (1, count, *cells)
    if model.head.encoder is not None:
        assert found.location.shape == (1, count, height // 4, width // 4)


@pytest.mark.parametrize("stem", ["mpii_res50", "mpii_hrnet", "street_res18"])
@pytest.mark.parametrize("row", ["cam", "all"])
def test_every_parameter_is_trained_or_the_config_says_so(stem, row):
    """Several processes need `find_unused_parameters` otherwise."""
    cfg = Config.fromfile(FOLDER / f"{stem}_{row}.py")
    cfg.model.backbone.init_cfg = None
    model = MODELS.build(cfg.model).train()
    feats = model.extract_feat(torch.zeros(2, 3, 64, 64))
    location, *_, pooled = model.head(feats)
    (location.sum() + sum(maps.sum() for maps in pooled)).backward()
    unused = any(p.grad is None for p in model.parameters())
    assert unused == cfg.get("find_unused_parameters", False)


# Runs


@pytest.fixture(scope="module")
def street(tmp_path_factory):
    """The folder that MMPOSE_DA_DATA names, with a few people of the street."""
    root = tmp_path_factory.mktemp("data")
    counts = dict(train=12, val=4)
    write_domain(root / "synthetic/street", STREET, counts, format="mpii")
    return root


def tiny(row: str, street: Path, monkeypatch) -> Config:
    monkeypatch.setenv("MMPOSE_DA_DATA", str(street))
    cfg = Config.fromfile(FOLDER / f"street_res18_{row}.py")
    cfg.randomness = dict(seed=0)
    cfg.train_cfg.update(max_iters=4, val_interval=4)
    cfg.default_hooks.checkpoint.interval = 2
    cfg.default_hooks.logger = dict(type="LoggerHook", interval=1)
    counts = cfg.train_dataloader.batch_sampler.samples_per_domain
    for domain in counts:
        counts[domain] = 2
    cfg.train_dataloader.batch_size = 2 * len(counts)
    for loader in (cfg.train_dataloader, cfg.val_dataloader, cfg.test_dataloader):
        loader.update(num_workers=0, persistent_workers=False)
    return cfg


@pytest.mark.parametrize(
    "row", [pytest.param(r, marks=() if r == "25" else pytest.mark.slow) for r in ROWS]
)
def test_run_is_killed_resumed_evaluated_published_and_loaded(
    row, street, tmp_path, monkeypatch, compare
):
    cfg = tiny(row, street, monkeypatch)
    runs = Runs(cfg)
    through = runs(tmp_path / "through")
    metrics = through.message_hub.log_scalars
    assert "val/part mAP" in metrics and f"val/{cfg.target_metric}" in metrics
    assert "val/PCKh@0.5 (12 joints)" in metrics
    runs(tmp_path / "killed", Kill(iterations=3))
    runs(tmp_path / "killed")
    assert compare(tmp_path / "through", tmp_path / "killed") == []

    checkpoint = tmp_path / "through/iter_4.pth"
    weights, deployed = publish(cfg, checkpoint, tmp_path / "published.pth")
    model = init_model(str(deployed), str(weights), device="cpu")
    assert type(model).__name__ == "TopdownPoseEstimator"
    image = next((street / "synthetic/street/images").glob("*.jpg"))
    [person] = inference_topdown(model, cv2.imread(str(image)))
    assert person.pred_instances.keypoints.shape == (1, 16, 2)
    scores = person.pred_instances.keypoint_scores
    assert scores.shape == (1, 16) and ((scores > 0) & (scores < 1)).all()


@pytest.mark.slow
def test_inferencer_and_visualizer(street, tmp_path, monkeypatch):
    cfg = tiny("all", street, monkeypatch)
    Runs(cfg)(tmp_path / "run")
    path = tmp_path / "config.py"
    cfg.dump(path)
    checkpoint = str(tmp_path / "run/iter_4.pth")
    inferencer = MMPoseInferencer(
        str(path), checkpoint, det_model="whole_image", device="cpu"
    )
    image = next((street / "synthetic/street/images").glob("*.jpg"))
    result = next(inferencer(str(image), return_vis=True, draw_heatmap=True))
    [person] = result["predictions"][0]
    assert np.array(person["keypoints"]).shape == (16, 2)
    assert result["visualization"][0].shape[2] == 3


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "metric"),
    [
        ("coco_res50_25", "coco/AP"),
        ("mpii_res50_all", "PCKh@1 (14 joints)"),
        ("coco_hrnet_all", "coco/AP"),
    ],
)
def test_a_full_size_config_trains_resumes_and_evaluates_on_real_images(
    name, metric, real_data, tmp_path, monkeypatch, compare
):
    monkeypatch.setenv("MMPOSE_DA_DATA", str(real_data))
    cfg = Config.fromfile(FOLDER / f"{name}.py")
    shorten(
        cfg, **dict.fromkeys(cfg.train_dataloader.batch_sampler.samples_per_domain, 1)
    )
    cfg.train_dataloader.dataset.target.indices = 4
    runs = Runs(cfg)
    through = runs(tmp_path / "through")
    assert f"val/{metric}" in through.message_hub.log_scalars
    runs(tmp_path / "killed", Kill(iterations=through.max_iters - 1))
    assert (tmp_path / "killed/epoch_1.pth").is_file()
    runs(tmp_path / "killed")
    assert compare(tmp_path / "through", tmp_path / "killed") == []


def test_evaluation_set_has_people_and_parts(street, monkeypatch):
    cfg = tiny("all", street, monkeypatch)
    dataset = DATASETS.build(cfg.val_dataloader.dataset)
    assert len(dataset) == 8
    labels = [dataset[i]["data_samples"].gt_instance_labels for i in range(4, 8)]
    shares = [float(label.part_labels.mean()) for label in labels]
    assert min(shares) < 0.9
