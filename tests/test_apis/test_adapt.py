"""From a trained model and raw images to an adapted, published model."""

import io
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmpose.apis import inference_topdown, init_model
from mmpose.registry import MODELS
from rich.console import Console
from tiny_site import write_model, write_site

from mmpose_da.apis import config_text, train
from mmpose_da.apis.adapt import plan as adapt_plan
from mmpose_da.apis.adapt import stages as adapt_stages
from mmpose_da.apis.adapt.config import (
    Plan,
    Source,
    default_iterations,
    target_dataset,
    training_config,
)
from mmpose_da.apis.adapt.job import Job, Work, parse_budget
from mmpose_da.apis.adapt.methods import METHODS
from mmpose_da.apis.adapt.model import check_weights, load_model
from mmpose_da.apis.adapt.plan import make_plan
from mmpose_da.apis.adapt.run import adapt, dry_run
from mmpose_da.apis.detect.run import Detected, Detection
from mmpose_da.apis.stages import read_result
from mmpose_da.apis.work_files import write_json
from mmpose_da.structures import joint_definition

PLAN = Plan(100, 4, 4, 1e-4, 0)


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """A site with models and a source, which no test changes."""
    from mmengine.registry import init_default_scope

    init_default_scope("mmpose")
    folder = tmp_path_factory.mktemp("site")
    write_site(folder)
    write_model(folder / "model", "simcc")
    return folder


def job(site: Path, head="heatmap", source=True, **kwargs) -> Job:
    labeled = Source(str(site / "source/annotations.json"), str(site / "source/images"))
    kwargs.setdefault("budget", "3")
    return Job(
        str(site / f"model/{head}.py"),
        Detection(str(site / "site/images"), detector="whole"),
        checkpoint=str(site / f"model/{head}.pth"),
        source=labeled if source else None,
        workers=0,
        **kwargs,
    )


def quiet_console() -> Console:
    return Console(file=io.StringIO(), width=200)


def weights(path: Path) -> dict:
    return torch.load(path, weights_only=False)["state_dict"]


def same(one: dict, other: dict) -> bool:
    return one.keys() == other.keys() and all(
        torch.equal(one[key], other[key]) for key in one
    )


def train_here(cfg, work_dir, *, threads, progress):
    """Train like ``train_stage``, but in this process."""
    config, done = work_dir / "input/config.py", work_dir / "result.json"
    if not done.is_file():
        config.parent.mkdir(parents=True)
        config.write_text(config_text(cfg.to_dict()))
        cfg = Config(dict(cfg.to_dict(), work_dir=str(work_dir)))
        train(cfg)
        progress(cfg.train_cfg.max_iters, cfg.train_cfg.max_iters)
        last = f"iter_{cfg.train_cfg.max_iters}.pth"
        result = dict(metrics={}, checkpoint=last, step_time=1.0, peak_memory=1.0)
        done.write_text(json.dumps(result))
    return read_result(work_dir)


@pytest.fixture
def in_process(monkeypatch):
    monkeypatch.setattr(adapt_stages, "train_stage", train_here)


@pytest.mark.parametrize("head, source", [("heatmap", True), ("simcc", False)])
def test_from_images_to_a_model(site, tmp_path, head, source, in_process):
    check_whole_way(site, tmp_path, head, source)


@pytest.mark.slow
def test_from_images_to_a_model_in_real_processes(site, tmp_path):
    check_whole_way(site, tmp_path, "heatmap", source=False)


def check_whole_way(site, tmp_path, head, source):
    console = quiet_console()
    folder = adapt(job(site, head, source), tmp_path / "work", console=console)
    said = console.file.getvalue()
    assert "[1/5] detect" in said and "8 people in 8 images" in said
    assert "3 iterations with" in said and "[4/5] publish" in said
    assert "[3/5] score" in said and "warning: There are only 8 people" in said
    check_scores_and_report(folder, head, source)

    # The weights have been trained, and the published ones are those of the teacher.
    start = weights(site / f"model/{head}.pth")
    trained = weights(folder / "adapt/iter_3.pth")
    published = weights(folder / "publish/adapted.pth")
    key = "backbone.conv1.weight"
    assert not torch.equal(start[key], trained[key])
    prefix = "adaptations.mean_teacher.average.module."
    assert all(torch.equal(trained[prefix + k], v) for k, v in published.items())

    cfg = Config.fromfile(folder / "publish/adapted.py")
    assert "mmpose_da" not in cfg.pretty_text
    record = cfg.adaptation
    assert record.start == str(site / f"model/{head}.pth")
    assert record.target == [str(folder / "detect/people.json")]
    assert record.source == ([str(site / "source/annotations.json")] if source else [])
    assert record.verified_on == "8 people of the target" and record.iterations == 3
    others = {"patches"} if source else set() if head == "simcc" else {"info_max"}
    assert set(record.adaptations) == {"mean_teacher"} | others
    model = init_model(cfg, str(folder / "publish/adapted.pth"), device="cpu")
    [image, *_] = sorted((site / "site/images").iterdir())
    [person] = inference_topdown(model, str(image))
    assert person.pred_instances.keypoints.shape == (1, 17, 2)


def check_scores_and_report(folder, head, source):
    scores = json.loads((folder / "score/result.json").read_text())
    before, after = scores["before"], scores["after"]
    name = "label_free/consistency"
    assert (scores["warning"] is not None) == (after[name] < before[name])
    assert "label_free/teacher_agreement" in after.keys() - before.keys()
    assert ("label_free/plausibility" in before) == source
    report = json.loads((folder / "report/result.json").read_text())
    no_heatmaps = ["Heatmaps"] if head == "simcc" else []
    assert report["missing"] == [*no_heatmaps, "Figures with labels"]
    page = (folder / "report/report.html").read_text()
    assert "8 people were found in 8 images" in page and "Time of each stage" in page
    lines = (folder / "history.jsonl").read_text().splitlines()
    stages = [json.loads(line).get("stage") for line in lines]
    assert stages == [None, "detect", "adapt", "score", "publish", "report"]
    for stage in stages[1:]:
        assert (folder / stage / "result.json").is_file()


def test_stage_by_stage_after_a_kill_gives_the_same(site, tmp_path, monkeypatch):
    monkeypatch.setattr(adapt_stages, "train_stage", train_here)
    one, most = job(site, source=False), ["detect", "adapt", "score", "publish"]
    through = adapt(one, tmp_path / "through", stages=most, console=quiet_console())
    parts = tmp_path / "parts"
    with pytest.raises(RuntimeError, match="'adapt' needs 'detect', which is not done"):
        adapt(one, parts, stages=["adapt"], console=quiet_console())
    adapt(one, parts, stages=["detect"], console=quiet_console())
    # Killed between the scores of both models.
    monkeypatch.setattr(adapt_stages, "write_json", _fail_at("score/after.json"))
    with pytest.raises(KeyboardInterrupt):
        adapt(one, parts, stages=most, console=quiet_console())
    written = (parts / "score/before.json").stat().st_mtime_ns
    # Killed after the weights were renamed, and before the result was written.
    monkeypatch.setattr(adapt_stages, "write_json", _fail_at("publish/result.json"))
    with pytest.raises(KeyboardInterrupt):
        adapt(one, parts, stages=most, console=quiet_console())
    assert (parts / "score/before.json").stat().st_mtime_ns == written
    assert (parts / "publish/adapted.pth").is_file()
    assert not (parts / "publish/result.json").exists()
    monkeypatch.setattr(adapt_stages, "write_json", write_json)
    console = quiet_console()
    adapt(one, parts, stages=most, console=console)
    assert "adapt: train on the target and the source (done before)" in (
        console.file.getvalue()
    )
    assert same(
        weights(through / "publish/adapted.pth"), weights(parts / "publish/adapted.pth")
    )
    scores = [
        json.loads((f / "score/result.json").read_text()) for f in (through, parts)
    ]
    assert scores[0] == scores[1]
    # A changed job is refused, with what changed.
    with pytest.raises(RuntimeError, match="budget was '3' and is '4'"):
        adapt(job(site, source=False, budget="4"), parts, console=quiet_console())


def _fail_at(name):
    def write_or_fail(content, path):
        if str(path).endswith(name):
            raise KeyboardInterrupt
        write_json(content, path)

    return write_or_fail


@pytest.mark.slow
def test_train_repeats_the_config(site, tmp_path, repo):
    folder = adapt(job(site), tmp_path / "work", console=quiet_console())
    config = folder / "adapt/input/config.py"
    command = [sys.executable, str(repo / "tools/train.py"), str(config)]
    subprocess.run(
        [*command, "--work-dir", str(tmp_path / "again")],
        check=True,
        capture_output=True,
        cwd=tmp_path,
    )
    assert same(
        weights(folder / "adapt/iter_3.pth"), weights(tmp_path / "again/iter_3.pth")
    )


def test_dry_run_runs_nothing(site, tmp_path, monkeypatch):
    def fail(*args, **kwargs):
        raise AssertionError("a stage was run")

    monkeypatch.setattr(adapt_stages, "train_stage", fail)
    monkeypatch.setattr(adapt_stages, "publish", fail)
    before = sorted(site.rglob("*"))
    console = quiet_console()
    one = job(site, budget=None)
    dry_run(one, tmp_path / "work", console=console)
    assert not (tmp_path / "work").exists() and sorted(site.rglob("*")) == before
    said = console.file.getvalue()
    assert "8 people (one in each image is assumed)" in said
    assert "300 iterations with 8 source and 8 target images; about" in said
    assert "[4/5] publish" in said and "nothing was run" in said
    assert METHODS[one.method].text in " ".join(said.split())


def test_unknown_stage(site, tmp_path):
    with pytest.raises(ValueError, match="stages: 'train' is none of.*'adapt'"):
        adapt(job(site), tmp_path, stages=["train"])


@pytest.mark.parametrize(
    "text, expected",
    [
        (None, (None, None)),
        ("2000", (2000, None)),
        ("90s", (None, 90)),
        ("30min", (None, 1800)),
        ("1.5 h", (None, 5400)),
    ],
)
def test_budget(text, expected):
    assert parse_budget(text) == expected


@pytest.mark.parametrize("text", ["0", "2.5", "soon", "3days", "-5", "0min"])
def test_wrong_budget(text):
    with pytest.raises(ValueError, match=f"budget='{text}' is neither"):
        parse_budget(text)


def test_plan_by_data_device_and_time(site, tmp_path, monkeypatch):
    assert default_iterations(10, 8, "cpu") == 300
    assert default_iterations(400, 8, "cpu") == 1000
    assert default_iterations(10**6, 8, "cpu") == 2000
    assert default_iterations(10**6, 32, "cuda") == 10000
    monkeypatch.setattr(adapt_plan, "step_time", lambda cfg, device: 0.5)

    def plan(people, device="cpu", **kwargs):
        one = job(site, **kwargs)
        work = Work(one, tmp_path, quiet_console(), device)
        detected = Detected(tmp_path / "people.json", tmp_path, people, people, {}, 0.0)
        return make_plan(work, detected)

    assert plan(400, budget=None) == (Plan(1000, 8, 8, 1e-4, 0), 500.0)
    assert plan(400, budget="1min")[0].iterations == 120
    assert plan(5, budget="7") == (Plan(7, 8, 5, 1e-4, 0), 3.5)
    assert plan(400, "cuda", source=False)[0] == Plan(3, 0, 32, 1e-4, 0)
    adabn, _ = plan(400, budget=None, method="adabn")
    assert (adabn.iterations, adabn.source_batch) == (50, 0)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("head", ["heatmap", "simcc"])
def test_every_method_makes_a_step(site, head, method, tmp_path):
    """Or says why it does not fit the head."""
    from mmpose_da.apis.step_time import step_time

    one = job(site, head, method=method)
    people = site / "source/annotations.json"
    target = target_dataset(people, site / "source/images", "CocoDataset")
    arguments = (one.source_model, target, one.source_dataset, method, PLAN)
    unfit = {
        "mla": "info_max",
        "uniframe": "LabeledViews",
        "best-turned": "LabeledViews",
    }
    if head == "simcc" and method in unfit:
        message = f"method '{method}' does not fit.*{unfit[method]}"
        with pytest.raises(ValueError, match=message):
            training_config(*arguments)
        return
    cfg = training_config(*arguments)
    has_teacher = method not in ("dan", "dann", "cafa", "adabn")
    assert cfg.model.test_cfg.network == ("teacher" if has_teacher else "student")
    assert step_time(cfg, "cpu", steps=1) > 0
    if not has_teacher:
        with pytest.raises(ValueError, match="has no teacher"):
            training_config(*arguments, network="teacher")


def test_methods_without_a_source(site):
    for method in METHODS.values():
        assert method.text
    with pytest.raises(ValueError, match="'dann' needs labeled source.*'best'"):
        job(site, source=False, method="dann")
    with pytest.raises(ValueError, match="method='worst' is none of"):
        job(site, method="worst")
    one = job(site, source=False)
    people = target_dataset("people.json", "images", "CocoDataset")
    cfg = training_config(one.source_model, people, None, one.method, PLAN)
    assert set(cfg.model.adaptations) == {"mean_teacher", "info_max"}
    assert cfg.model.adaptations.mean_teacher.momentum == 0.999
    assert cfg.train_dataloader.batch_sampler.samples_per_domain == dict(
        target_unlabeled=4
    )


def test_config_is_that_of_the_methods_files(site):
    one = job(site)
    people = target_dataset("people.json", "images", "CocoDataset")
    cfg = training_config(
        one.source_model,
        people,
        one.source_dataset,
        "best",
        Plan(500, 8, 8, 1e-3, 2),
    )
    # The row studio2street_res18_best, and the scale of its pose loss.
    assert cfg.model.adaptations.patches == dict(type="PastedPatches")
    assert cfg.model.adaptations.mean_teacher.student_view.rotation == 15
    assert cfg.model.adaptations.mean_teacher.momentum == pytest.approx(0.98)
    assert cfg.model.adaptations.mean_teacher.sigma == 2
    assert cfg.model.adaptations.mean_teacher.threshold == 0.1
    assert cfg.model.head.loss.loss_weight == 16 * 16
    assert cfg.optim_wrapper == dict(
        type="OptimWrapper", optimizer=dict(type="Adam", lr=1e-3)
    )
    assert cfg.train_dataloader.batch_size == 16 and cfg.train_cfg.max_iters == 500
    assert "val_dataloader" not in cfg and cfg.val_pipeline


def test_models_by_name(tmp_path):
    """Configs and weights of MMPose's metafiles, without the download."""
    path = "body_2d_keypoint/rtmpose/coco/rtmpose-m_8xb256-420e_coco-256x192.py"
    (tmp_path / "weights.pth").touch()
    model = load_model(f"mmpose::{path}", str(tmp_path / "weights.pth"))
    assert model.checkpoint == str(tmp_path / "weights.pth")
    assert model.joints == "CocoDataset"
    kinds = [transform["type"] for transform in model.train_pipeline]
    assert "GenerateTarget" in kinds and "Albumentation" not in kinds
    assert model.optim_wrapper["optimizer"]["type"] == "AdamW"
    assert "init_cfg" not in model.model["backbone"]
    name = "td-hm_res50_8xb64-210e_coco-256x192"
    for given in (name, f"mmpose::body_2d_keypoint/topdown_heatmap/coco/{name}.py"):
        model = load_model(given)
        assert model.checkpoint.startswith("https://") and name in model.checkpoint
        assert model.model["backbone"]["depth"] == 50


def test_wrong_models(site, tmp_path, write_config):
    with pytest.raises(ValueError, match="'resnet' is neither a config file"):
        load_model("resnet")
    with pytest.raises(FileNotFoundError, match="no config file 'none.py'"):
        load_model("none.py")
    with pytest.raises(ValueError, match="there is no config 'mmpose::none.py'"):
        load_model("mmpose::none.py", "x.pth")
    with pytest.raises(ValueError, match="package 'yolo' is not installed"):
        load_model("yolo::a.py")
    config = str(site / "model/heatmap.py")
    with pytest.raises(ValueError, match="needs a checkpoint"):
        load_model(config)
    with pytest.raises(FileNotFoundError, match="no checkpoint 'none.pth'"):
        load_model(config, "none.pth")
    weight = str(site / "model/heatmap.pth")
    bottom_up = write_config("model = dict(type='BottomupPoseEstimator')")
    with pytest.raises(ValueError, match="a BottomupPoseEstimator, but only a Topdown"):
        load_model(bottom_up, weight)
    with pytest.raises(ValueError, match="does not match.*head"):
        check_weights(load_model(str(site / "model/simcc.py"), weight))
    cfg = Config.fromfile(config)
    cfg.model.backbone = dict(type="mmnothing.VisionTransformer")
    cfg.dump(tmp_path / "vit.py")
    with pytest.raises(
        ValueError, match=r"mmnothing\.VisionT.*`pip install mmnothing`"
    ):
        load_model(str(tmp_path / "vit.py"), weight)
    broken = tmp_path / "broken.pth"
    broken.write_bytes(b"no weights")
    with pytest.raises(ValueError, match="broken.pth' cannot be loaded"):
        check_weights(load_model(config, str(broken)))
    cfg = Config.fromfile(config).to_dict()
    cfg["train_dataloader"] = None
    nameless = write_config(config_text(cfg), "nameless.py")
    with pytest.raises(ValueError, match="does not say which joints"):
        load_model(nameless, weight)


def test_a_published_model_can_be_adapted_again(site, tmp_path, in_process):
    """Its config has no pipeline for training and no optimizer."""
    folder = adapt(job(site), tmp_path / "work", console=quiet_console())
    config, weight = (str(folder / f"publish/adapted{x}") for x in (".py", ".pth"))
    model = load_model(config, weight)
    kinds = [transform["type"] for transform in model.train_pipeline]
    assert kinds.index("RandomFlip") < kinds.index("TopdownAffine")
    assert kinds[-2:] == ["GenerateTarget", "PackPoseInputs"]
    check_weights(model)
    people = target_dataset("people.json", "images", model.joints)
    cfg = training_config(model, people, None, "mean-teacher", PLAN)
    assert cfg.model.head.loss.loss_weight == 16 * 16  # not twice
    MODELS.build(cfg.model)
    # An adaptive config, such as a row of configs/da, is a model as well.
    again = load_model(str(folder / "adapt/input/config.py"), weight)
    assert again.model["type"] == "TopdownPoseEstimator"
    assert "adaptations" not in again.model
    check_weights(again)


def test_source_joints(site, tmp_path):
    files = (str(site / "source/annotations.json"), str(site / "source/images"))
    coco = Source(*files).dataset("CocoDataset")
    assert coco["metainfo"] == dict(from_file="configs/_base_/datasets/coco.py")
    mapped = Source(*files, joint_map=dict(neck="nose")).dataset("LspDataset")
    assert joint_definition(mapped["metainfo"])["dataset_name"] == "lsp"
    assert mapped["joint_map"] == dict(neck="nose")
    assert Source(*files, "MpiiDataset").dataset("CocoDataset")["type"] == "MpiiDataset"
    own = tmp_path / "own.py"
    keypoints = {0: dict(name="nose", id=0, color=[0, 0, 0], type="", swap="")}
    info = dict(
        dataset_name="own",
        keypoint_info=keypoints,
        skeleton_info={},
        joint_weights=[1.0],
    )
    own.write_text(config_text(dict(dataset_info=dict(info, sigmas=[0.1]))))
    dataset = Source(*files, str(own)).dataset("CocoDataset")
    assert dataset["metainfo"] == dict(from_file=str(own))
    with pytest.raises(ValueError, match="source joints 'Mine' are neither"):
        Source(*files, "Mine").dataset("CocoDataset")
    with pytest.raises(FileNotFoundError, match="source images: there is no 'none'"):
        Source(files[0], "none").dataset("CocoDataset")


def test_wrong_source_is_found_before_the_work_begins(site, tmp_path, monkeypatch):
    broken = tmp_path / "broken.json"
    content = json.loads((site / "source/annotations.json").read_text())
    del content["annotations"][0]["image_id"]
    broken.write_text(json.dumps(content))
    one = job(site)
    wrong = Job(
        **dict(
            {key: getattr(one, key) for key in ("model", "target", "checkpoint")},
            source=Source(str(broken), str(site / "source/images")),
        )
    )
    monkeypatch.setattr(adapt_stages, "detect", None)
    with pytest.raises(ValueError, match="broken.json.*image_id"):
        adapt(wrong, tmp_path / "work", console=quiet_console())
    assert not (tmp_path / "work").exists()


@pytest.mark.parametrize("device", ["tpu", "cuda:0"])
def test_wrong_device(site, tmp_path, device):
    if device == "cuda:0" and torch.cuda.is_available():
        pytest.skip("there is a GPU")
    with pytest.raises(ValueError, match=f"device='{device}'"):
        adapt(job(site), tmp_path / "work", device=device)


def test_a_video_is_previewed(tmp_path):
    import cv2

    path = tmp_path / "video.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), 10, (160, 120))
    rng = np.random.default_rng(0)
    for _ in range(100):
        writer.write(rng.integers(0, 255, (120, 160, 3), np.uint8))
    writer.release()
    (tmp_path / "preview").mkdir()
    target = Detection(str(path), detector="hog")
    detected, count = adapt_plan.preview(target, tmp_path / "preview")
    assert count == 20 and detected.num_people == adapt_plan.PREVIEW


def test_command(site, tmp_path, load_tool, capsys):
    tool = load_tool("adapt")
    assert list(METHODS) == list(tool.METHODS)
    model = [str(site / "model/heatmap.py"), str(site / "model/heatmap.pth")]
    target = ["--target", str(site / "site/images"), "--work-dir", str(tmp_path / "w")]
    source = [*("--source", str(site / "source/annotations.json"))]
    with pytest.raises(SystemExit):
        tool.main([*model, *target, *source])
    assert "--source and --source-images belong together" in capsys.readouterr().err
    source += ["--source-images", str(site / "source/images")]
    rest = ["--detector", "whole", "--detect-min-size", "10", "--budget", "5"]
    tool.main([*model, *target, *source, *rest, "--workers", "0", "--dry-run"])
    out = capsys.readouterr().out
    assert "5 iterations with 8 source and 8 target images" in out
    with pytest.raises(SystemExit, match="adapt.py: budget='x' is neither"):
        tool.main([*model, *target, "--budget", "x"])
    args = tool.parse_args(
        [*model, *target, *source, "--joint-map", "neck=nose", "a=b,c"]
    )
    assert dict(args.joint_map) == dict(neck="nose", a=["b", "c"])
