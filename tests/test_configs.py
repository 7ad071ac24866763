"""Every runnable config: it parses, fits together, and makes a model."""

import math
from copy import deepcopy
from functools import cache
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.logging import MessageHub
from mmengine.optim import build_optim_wrapper
from mmpose.registry import DATASETS, MODELS

from mmpose_da.structures import GROUPS, joint_definition, joint_mapping

FOLDER = Path(__file__).parents[1] / "configs"
CONFIGS = sorted((FOLDER / "da").glob("*.py"))
STYLES = sorted((FOLDER / "style").glob("*.py"))
ABLATION = {
    *("source-only", "dan", "dann", "strong-weak", "cafa", "isa", "ihta"),
    *("ssda", "oracle", "", "adabn", "mixed"),
}
#: The rows of multi-level alignment, where every part is alone as well.
LEVELS = {
    "mean-teacher",
    *(f"mean-teacher-{level}" for level in ("style", "adversarial", "info-max")),
    "mean-teacher-adversarial-info-max",
    *("mla", "uniframe", "source-free", "best"),
}
#: The rows that only the embedded pair has.
EMBEDDED = {
    *("joint", "ssda-5", "style", "info-max"),
    *(f"mean-teacher-style-{level}" for level in ("adversarial", "info-max")),
    *("mean-teacher-style-occlusion", "mean-teacher-weak", "mean-teacher-turned"),
    "best-turned",
    *("patches", "source-only-patches", "mean-teacher-patches"),
    *("adain", "mean-teacher-adain", "parts", "parts-mean-teacher", "regda"),
}
#: The pairs with a synthetic source, and the joints that both domains have.
SYNTHETIC = dict(
    surreal2lsp=12,
    surreal2h36m=12,
    rhd2freihand=21,
    rhd2h3d=21,
    synthanimal2tigdog=18,
    synthanimal2animalpose=14,
)
#: Those of them with RegDA, which is one of people and hands.
REGDA = ("surreal2lsp", "surreal2h36m", "rhd2h3d", "rhd2freihand")


@pytest.fixture(autouse=True)
def _default_data_root(monkeypatch):
    monkeypatch.delenv("MMPOSE_DA_DATA", raising=False)


@cache
def _read(path: Path) -> Config:
    return Config.fromfile(path)


def read(path: Path) -> Config:
    """Read a config, from its file only once."""
    return deepcopy(_read(path))


def domains_of(cfg: Config) -> set[str]:
    dataset = cfg.train_dataloader.dataset
    labeled = dataset.get("labeled_target")
    domains = {"source"} if dataset.get("source") else set()
    if dataset.get("target"):
        domains |= {"target_labeled"} if labeled else set()
        domains |= set() if labeled == dict(ratio=1.0) else {"target_unlabeled"}
    return domains


def test_every_row_is_there():
    names = {path.stem for path in CONFIGS}
    for pair in ("coco2mpii", "mpii2coco"):
        rows = {f"{pair}_res50" + (f"_{row}" if row else "") for row in ABLATION}
        for model in ("hrnet", "hrnet-w48"):
            rows |= {f"{pair}_{model}{row}" for row in ("_source-only", "", "_ssda")}
        assert rows <= names
    assert {f"coco2mpii_res50_{row}" for row in LEVELS} <= names
    for row in ("source-only", "mean-teacher"):
        assert f"coco2mpii_rtmpose-m_{row}" in names
    for row in ("_source-only", "_mean-teacher", ""):
        assert f"coco2mpii_efasnet-res50{row}" in names
    for pair in SYNTHETIC:
        assert {f"{pair}_res101_{row}" for row in ("source-only", "oracle")} <= names
        assert f"{pair}_res101_mla" in names
    for pair in REGDA:
        assert f"{pair}_res101_regda" in names


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_config_fits_together(path):
    cfg = read(path)
    loader = cfg.train_dataloader
    counts = loader.batch_sampler.samples_per_domain
    assert set(counts) == domains_of(cfg)
    assert sum(counts.values()) == loader.batch_size

    if "studio" not in path.stem:
        assert cfg.auto_scale_lr.base_batch_size == loader.batch_size

    joints = joint_definition(cfg.model.joints)
    assert loader.dataset.joints == cfg.model.joints
    assert cfg.model.head.out_channels == joints["num_keypoints"]
    assert set(cfg.val_evaluator.joints) <= set(joints["keypoint_name2id"])
    assert cfg.val_dataloader.dataset.pipeline == cfg.val_pipeline
    assert cfg.test_evaluator == cfg.val_evaluator
    if cfg.model.head.get("loss", {}).get("type") == "KeypointMSELoss":
        height, width = cfg.codec.heatmap_size
        assert cfg.model.head.loss.loss_weight == height * width
    assert cfg.default_hooks.checkpoint.save_best is None
    assert cfg.val_dataloader.dataset.data_root.startswith("data/")


@pytest.mark.parametrize("path", [*CONFIGS, *STYLES], ids=lambda path: path.stem)
def test_runtime_is_exact_whatever_starts_the_run(path, load_tool):
    cfg = read(path)
    assert cfg.custom_imports.imports == ["mmpose_da"]
    assert cfg.runner_type == "ConciseLogRunner"
    exact = {"ExactEpochBasedTrainLoop", "ExactIterBasedTrainLoop", "AdaBNLoop"}
    assert cfg.train_cfg.type in exact and "by_epoch" not in cfg.train_cfg
    hooks = cfg.default_hooks
    assert hooks.checkpoint.type == "SafeCheckpointHook"
    assert hooks.checkpoint.save_best is None
    assert hooks.logger.log_metric_by_epoch is False
    assert hooks.non_finite.type == "NonFiniteHook"
    assert hooks.checkpoint_match.type == "CheckpointMatchHook"
    for name in ("train_dataloader", "val_dataloader"):
        if cfg.get(name):
            assert cfg[name].worker_init_fn == dict(type="end_with_parent")
    # The command line adds nothing that `Runner.from_cfg` would lack.
    tool = load_tool("train")
    trained = tool.make_config(tool.parse_args([str(path)])).to_dict()
    added = dict(work_dir=f"work_dirs/{path.stem}", launcher="none")
    assert trained == dict(cfg.to_dict(), **added)


@pytest.mark.parametrize("pair", SYNTHETIC)
def test_synthetic_pairs_are_trained_and_evaluated_as_in_the_papers(pair):
    cfg = read(CONFIGS[0].parent / f"{pair}_res101_source-only.py")
    assert cfg.model.backbone.depth == 101
    assert cfg.val_evaluator.type == "SharedJointsPCK"
    assert cfg.val_evaluator.thr == 0.05
    assert len(cfg.val_evaluator.joints) == SYNTHETIC[pair]
    assert cfg.target_metric == f"PCK@0.05 ({SYNTHETIC[pair]} joints)"
    # The metric is relative to the box, which must be what the model sees.
    for pipeline in (cfg.train_dataloader.dataset.pipeline, cfg.val_pipeline):
        [box] = [t for t in pipeline if t.type == "GetBBoxCenterScale"]
        assert box.padding == 1
    # The source has what is evaluated, and the target the joints of the model.
    joints = joint_definition(cfg.model.joints)
    joint_map = cfg.source.pop("joint_map", None)
    source, val = (
        DATASETS.build(dict(dataset, lazy_init=True)).metainfo
        for dataset in (cfg.source, cfg.target_val)
    )
    mapping = joint_mapping(source, joints, joint_map)
    given = {joints["keypoint_id2name"][wanted] for _, wanted in mapping}
    assert set(cfg.val_evaluator.joints) <= given
    assert val["keypoint_id2name"] == joints["keypoint_id2name"]


@pytest.mark.parametrize("pair", SYNTHETIC)
def test_adapted_synthetic_pairs_distill_from_a_trained_teacher(pair):
    """Kim et al., ECCV 2022: 40 of 70 epochs of 500 steps on the source alone."""
    folder = CONFIGS[0].parent
    source = read(folder / f"{pair}_res101_source-only.py")
    adapted = read(folder / f"{pair}_res101_mla.py")
    start = 40 * 500
    assert adapted.load_from == f"work_dirs/{pair}_res101_source-only/iter_{start}.pth"
    checkpoint, end = source.default_hooks.checkpoint, source.train_cfg.max_iters
    kept = range(end, 0, -checkpoint.interval)[: checkpoint.max_keep_ckpts]
    assert start in kept
    assert start + adapted.train_cfg.max_iters == end
    *_, steps = source.param_scheduler
    [later] = adapted.param_scheduler
    assert [start + step for step in later.milestones] == steps.milestones


@pytest.mark.parametrize("pair", SYNTHETIC)
@pytest.mark.parametrize("row", ["source-only", "mla", "oracle"])
def test_rotation_is_that_of_the_paper(pair, row):
    cfg = read(CONFIGS[0].parent / f"{pair}_res101_{row}.py")
    [transform] = [
        t
        for t in cfg.train_dataloader.dataset.pipeline
        if t.type == "RandomBBoxTransform"
    ]
    assert transform.rotate_factor == (180 if pair.startswith("rhd") else 60)


@pytest.mark.parametrize("pair", REGDA)
def test_regda_is_trained_as_published(pair):
    """SGD, 0.1 for the regressors and 0.01 for the features, decaying slowly."""
    folder = CONFIGS[0].parent
    source = read(folder / f"{pair}_res101_source-only.py")
    cfg = read(folder / f"{pair}_res101_regda.py")
    end = source.train_cfg.max_iters
    assert cfg.load_from == f"work_dirs/{pair}_res101_source-only/iter_{end}.pth"
    assert cfg.train_cfg.max_iters == (5000 if pair == "surreal2h36m" else 15000)
    assert set(cfg.train_dataloader.batch_sampler.samples_per_domain.values()) == {32}
    assert cfg.model.statistics == "domain"
    model = MODELS.build(
        cfg.model | dict(backbone=dict(cfg.model.backbone, init_cfg=None))
    )
    # Its gradient layer after 1,000 iterations.
    regda, hub = model.adaptations["regda"], MessageHub.get_current_instance()
    hub.update_info("max_iters", cfg.train_cfg.max_iters)
    hub.update_info("iter", 1000)
    assert regda.ramped(regda.gradient) == pytest.approx(0.1 * math.tanh(0.5))
    assert regda.margin == 4 and regda.weight == 1

    wrapper = build_optim_wrapper(model, cfg.optim_wrapper)
    rates = {
        id(p): group["lr"] for group in wrapper.param_groups for p in group["params"]
    }
    for name, parameter in model.named_parameters():
        is_feature = name.startswith(("backbone.", "head.deconv_layers."))
        expected = 0.01 if is_feature else 0.1
        assert rates[id(parameter)] == pytest.approx(expected), name
    optimizer = wrapper.optimizer
    assert isinstance(optimizer, torch.optim.SGD)
    [settings] = {
        (group["momentum"], group["weight_decay"], group["nesterov"])
        for group in optimizer.param_groups
    }
    assert settings == (0.9, 1e-4, True)
    [schedule] = cfg.param_scheduler
    assert (schedule.type, schedule.gamma, schedule.power) == (
        *("InverseDecayLR", 1e-4, 0.75),
    )


@pytest.mark.parametrize("pair", ["coco2mpii_res50", "studio2street_res18"])
def test_uniframe_is_that_of_its_code(pair):
    cfg = read(CONFIGS[0].parent / f"{pair}_uniframe.py")
    style, source, teacher = cfg.model.adaptations.values()
    assert cfg.model.statistics == "domain" and cfg.model.test_cfg.network == "teacher"
    assert style.share == style.teacher_share == 0.5
    assert source.view == teacher.student_view == teacher.teacher_view
    view = source.view
    assert (view.rotation, view.shear, view.scale) == (60, 30, (0.6, 1.3))
    assert view.brightness == view.contrast == view.saturation == 0.25
    assert "blur" not in view and "flip_prob" not in view
    assert (teacher.gamma, teacher.share, teacher.share_of) == (0, 0.5, "all")
    assert teacher.momentum == (0.98 if "studio" in pair else 0.999)
    assert teacher.weight == 2
    assert teacher.occlusion.threshold == 0.9


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_keypoint_features_of_ihta_are_fine(path):
    """A position is at most 8 px of the network's input."""
    cfg = read(path)
    ihta = cfg.model.get("adaptations", {}).get("ihta")
    if not ihta:
        pytest.skip("without IHTA")
    cfg.model.backbone.init_cfg = None
    model = MODELS.build(cfg.model).train()
    width, height = cfg.codec.input_size
    with torch.no_grad():
        feats = model.student.extract_feat(torch.zeros(2, 3, height, width))
        model.head(feats)
    adaptation = model.adaptations.ihta
    found = {"head": feats[-1], **model._tapped}[adaptation.feature]
    assert found.shape[1] == adaptation.in_channels
    assert width // found.shape[3] in (2, 4, 8)


def test_rows_of_the_embedded_pair_differ_in_the_method_alone():
    rows = {
        path.stem: read(path)
        for path in CONFIGS
        if path.stem.startswith("studio2street") and "pretrain" not in path.stem
    }
    names = ABLATION | LEVELS | EMBEDDED
    assert {row[len("studio2street_res18") :].strip("_") for row in rows} == names
    first = rows["studio2street_res18_source-only"]
    for recipe in ("best", "best-turned"):
        longer = rows[f"studio2street_res18_{recipe}"].train_cfg
        assert longer.pop("max_iters") == 3 * first.train_cfg.max_iters
        longer.max_iters = first.train_cfg.max_iters
    twice = rows["studio2street_res18_regda"].optim_wrapper.optimizer
    assert twice.lr == 2 * first.optim_wrapper.optimizer.lr
    twice.lr = first.optim_wrapper.optimizer.lr
    for cfg in rows.values():
        assert cfg.load_from == first.load_from
        assert cfg.train_dataloader.batch_size == 32
        for key in ("optim_wrapper", "train_pipeline"):
            assert cfg[key] == first[key]
        if cfg.train_cfg.type == "AdaBNLoop":  # nothing is trained
            assert cfg.train_cfg.max_iters == first.train_cfg.max_iters
            assert cfg.train_dataloader.dataset.pipeline == cfg.val_pipeline
            assert domains_of(cfg) == {"target_unlabeled"}
            continue
        for key in ("train_cfg", "param_scheduler"):
            assert cfg[key] == first[key]


def test_rows_with_part_labels_differ_in_the_crops_of_the_target_alone():
    """Whole people of the source, parts of people of the target."""
    for row, other in (("parts", "mixed"), ("parts-mean-teacher", "mean-teacher")):
        cfg, base = (
            read(CONFIGS[0].parent / f"studio2street_res18_{name}.py")
            for name in (row, other)
        )
        dataset, base_dataset = (c.train_dataloader.dataset for c in (cfg, base))
        assert dataset.target.pop("labels") == "parts"
        assert dataset.target.pop("part_crops").aspect_ratio == 1
        assert (dataset.source, dataset.target) == (base_dataset.source, base.target)
        *steps, mark, target, pack = dataset.pipeline
        assert mark == dict(type="MarkPartCrops", use_udp=steps[-1].use_udp)
        assert [*steps, target, pack] == base_dataset.pipeline
        added = set(cfg.model.adaptations) - set(base.model.get("adaptations", {}))
        assert added == {"parts"}


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_model_is_built_with_what_its_adaptations_need(path):
    cfg = read(path)
    model = MODELS.build(cfg.model)
    domains = domains_of(cfg)
    domains |= {name for name, group in GROUPS.items() if domains & {*group}}
    for adaptation in model.adaptations.values():
        assert set(adaptation.needs) <= domains
    assert set(model.adaptations) == set(cfg.model.get("adaptations", {}))


def test_data_root_from_the_environment(monkeypatch):
    monkeypatch.setenv("MMPOSE_DA_DATA", "/elsewhere")
    cfg = Config.fromfile(CONFIGS[0])
    assert cfg.train_dataloader.dataset.source.data_root == "/elsewhere/coco/"
    assert cfg.val_dataloader.dataset.headbox_file.startswith("/elsewhere/mpii/")
