"""From an adapted checkpoint to a stock model."""

import copy
import subprocess
import sys

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmpose.apis import inference_topdown, init_model
from mmpose.registry import MODELS
from tiny_run import UDA, run_config

from mmpose_da.apis import config_text, publish
from mmpose_da.apis.publish import deploy_config, stock_checkpoint
from mmpose_da.datasets import LspDataset
from mmpose_da.structures import joint_definition


@pytest.fixture
def run(tmp_path, coco, mpii):
    """The config of a run with a mean teacher, and a checkpoint like the Runner's."""
    cfg = run_config(tmp_path / "work", coco, mpii, UDA)
    torch.manual_seed(0)
    model = MODELS.build(cfg.model)
    model.init_weights()
    with torch.no_grad():  # a teacher that differs from the student
        teacher = model.adaptations.mean_teacher
        for parameter in teacher.teacher.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
        teacher.average.steps.fill_(3)
    checkpoint = dict(
        meta=dict(
            dataset_meta=joint_definition("MpiiDataset"),
            epoch=3,
            iter=30,
            cfg=cfg.pretty_text,
            experiment_name="adapt",
        ),
        state_dict=model.state_dict(),
        optimizer=dict(state={}),
        param_schedulers=[],
        message_hub={},
    )
    path = tmp_path / "adapted.pth"
    torch.save(checkpoint, path)
    return cfg, path


@pytest.fixture
def image(tmp_path):
    image = np.random.default_rng(1).integers(0, 256, (90, 70, 3), np.uint8)
    path = tmp_path / "image.png"
    cv2.imwrite(str(path), image)
    return str(path)


@pytest.mark.parametrize("network", ["student", "teacher"])
def test_published_model_is_stock_and_predicts_the_same(run, tmp_path, image, network):
    cfg, checkpoint = run
    weights, config = publish(cfg, checkpoint, tmp_path / "out/stock.pth", network)
    assert (weights, config) == (tmp_path / "out/stock.pth", tmp_path / "out/stock.py")
    assert sorted(path.name for path in weights.parent.iterdir()) == [
        "stock.pth",
        "stock.py",
    ]
    assert "mmpose_da" not in config.read_text()

    stock = init_model(str(config), str(weights), device="cpu")
    assert type(stock).__name__ == "TopdownPoseEstimator"
    adapted_cfg = copy.deepcopy(cfg)
    adapted_cfg.model.test_cfg.network = network
    adapted = init_model(adapted_cfg, str(checkpoint), device="cpu")
    [ours], [theirs] = (inference_topdown(m, image) for m in (adapted, stock))
    np.testing.assert_array_equal(
        ours.pred_instances.keypoints, theirs.pred_instances.keypoints
    )
    other = "student" if network == "teacher" else "teacher"
    adapted.test_cfg.network = other
    [different] = inference_topdown(adapted, image)
    assert np.any(different.pred_instances.keypoints != theirs.pred_instances.keypoints)


def test_network_is_the_one_that_the_config_deploys(run, tmp_path):
    cfg, checkpoint = run
    state = torch.load(checkpoint)["state_dict"]
    for network, prefix in (
        ("student", ""),
        ("teacher", "adaptations.mean_teacher.average.module."),
    ):
        cfg.model.test_cfg.network = network
        weights, _ = publish(cfg, checkpoint, tmp_path / f"{network}.pth")
        published = torch.load(weights)["state_dict"]
        assert all(torch.equal(w, state[prefix + k]) for k, w in published.items())


def test_needs_nothing_of_this_package(run, tmp_path, image):
    """In a process that never imports it, but for what mmcv-lite lacks."""
    cfg, checkpoint = run
    weights, config = publish(cfg, checkpoint, tmp_path / "stock.pth")
    code = f"""
import sys
from mmpose_da.compat.mmcv_ops import import_mmcv_ops
import_mmcv_ops()
for name in [n for n in sys.modules if n.startswith("mmpose_da")]:
    del sys.modules[name]
sys.modules["mmpose_da"] = None  # importing it fails from here on
from mmpose.registry import MODELS, DATASETS
for registry in (MODELS, DATASETS):
    for name in ("DomainAdaptiveTopdown", "MixedDomainDataset"):
        registry._module_dict.pop(name, None)
from mmpose.apis import MMPoseInferencer
inferencer = MMPoseInferencer(
    pose2d={str(config)!r}, pose2d_weights={str(weights)!r}, device="cpu",
    det_model="whole_image")
[result] = next(inferencer({image!r}))["predictions"]
print(len(result), len(result[0]["keypoints"]))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "1 16"


def test_loads_safely_without_this_package(run, tmp_path):
    cfg, checkpoint = run
    weights, _ = publish(cfg, checkpoint, tmp_path / "stock.pth")
    code = f"import torch; torch.load({str(weights)!r}, weights_only=True)"
    # Outside of the project; the adapted one shows that it makes a difference.
    command = [sys.executable, "-c", code]
    subprocess.run(command, check=True, cwd=tmp_path, timeout=300)
    command[-1] = code.replace(weights.name, checkpoint.name)
    done = subprocess.run(command, cwd=tmp_path, timeout=300, capture_output=True)
    assert b"weights_only" in done.stderr.lower() and done.returncode != 0


def test_joints_of_this_package_are_spelled_out(repo, tmp_path):
    cfg = Config.fromfile(repo / "configs/da/surreal2lsp_res101_source-only.py")
    content = deploy_config(cfg)
    assert content["dataset_type"] == "CocoDataset"
    assert content["model"]["metainfo"]["dataset_name"] == "lsp"
    path = tmp_path / "deployed.py"
    path.write_text(config_text(content))
    stock = init_model(str(path), None, device="cpu")
    expected = LspDataset.METAINFO["keypoint_info"]
    assert stock.dataset_meta["keypoint_id2name"] == {
        index: joint["name"] for index, joint in expected.items()
    }


def test_meta_is_plain_and_without_the_config():
    meta = dict(
        dataset_meta=dict(
            sigmas=np.array([0.5, 0.25], dtype=np.float32),
            joints={np.int64(0): ("head", np.float64(1.5))},
        ),
        epoch=3,
        cfg="model = dict()",
    )
    weights = {
        "backbone.conv1.weight": torch.rand(2, 3),
        "head.adaptations.weight": torch.rand(1),  # not a prefix
        "adaptations.0.discriminator.weight": torch.rand(4),
    }
    content = dict(meta=meta, state_dict=weights, optimizer=dict(), message_hub=dict())
    published = stock_checkpoint(content, "student")
    assert set(published) == {"meta", "state_dict"}
    assert list(published["state_dict"]) == list(weights)[:2]
    assert published["meta"] == dict(
        dataset_meta=dict(sigmas=[0.5, 0.25], joints={0: ("head", 1.5)}), epoch=3
    )


def test_a_failure_leaves_no_file(run, tmp_path, monkeypatch):
    def fail(checkpoint, file):
        raise OSError("disk full")

    monkeypatch.setattr(torch, "save", fail)
    with pytest.raises(OSError, match="disk full"):
        publish(*run, tmp_path / "out" / "stock.pth")
    assert not list((tmp_path / "out").iterdir())


def test_what_predicts_otherwise_is_not_published(run, tmp_path, monkeypatch):
    cfg, checkpoint = run
    module = sys.modules["mmpose_da.apis.publish"]

    def without_flip(cfg):
        content = deploy_config(cfg)
        content["model"]["test_cfg"]["flip_test"] = False
        return content

    monkeypatch.setattr(module, "deploy_config", without_flip)
    with pytest.raises(RuntimeError, match="keypoint.* differ by up to"):
        publish(cfg, checkpoint, tmp_path / "out" / "stock.pth")
    assert not list((tmp_path / "out").iterdir())


def test_errors_name_the_file_and_the_problem(run, tmp_path):
    cfg, checkpoint = run
    target = tmp_path / "stock.pth"
    (tmp_path / "pair.py").write_text("joints = 'CocoDataset'")
    with pytest.raises(FileExistsError, match="pair.py' exists"):
        publish(cfg, checkpoint, tmp_path / "pair.pth")
    with pytest.raises(FileNotFoundError, match="none.pth"):
        publish(cfg, tmp_path / "none.pth", target)
    with pytest.raises(ValueError, match="end in .pth"):
        publish(cfg, checkpoint, tmp_path / "stock")
    stock = Config(dict(model=dict(type="TopdownPoseEstimator")))
    with pytest.raises(ValueError, match="DomainAdaptiveTopdown.*TopdownPoseEst"):
        publish(stock, checkpoint, target)
    other = tmp_path / "other.pth"
    torch.save({"conv.weight": torch.rand(1)}, other)
    with pytest.raises(ValueError, match=r"other.pth.*no `state_dict`.*conv.weight"):
        publish(cfg, other, target)
    content = torch.load(checkpoint)
    torch.save(dict(content, state_dict={"adaptations.0.w": torch.rand(1)}), other)
    for network in ("student", "teacher"):
        with pytest.raises(ValueError, match=f"no weights of a {network}"):
            publish(cfg, other, target, network)
    weights = dict(content["state_dict"])
    del weights["head.final_layer.bias"]
    torch.save(dict(content, state_dict=weights), other)
    with pytest.raises(ValueError, match="(?s)do not fit.*head.final_layer.bias"):
        publish(cfg, other, target, "student")
    assert not target.exists()


def test_command_prints_the_names(run, tmp_path, load_tool, capsys):
    cfg, checkpoint = run
    tool = load_tool("publish_model")
    cfg.dump(tmp_path / "run.py")
    argv = [str(tmp_path / "run.py"), str(checkpoint), str(tmp_path / "stock.pth")]
    tool.main(argv)
    out = capsys.readouterr().out
    assert str(tmp_path / "stock.pth") in out and str(tmp_path / "stock.py") in out
    with pytest.raises(SystemExit) as error:
        tool.main([*argv[:2], str(tmp_path / "stock.onnx")])
    assert error.value.code == 1 and "end in .pth" in capsys.readouterr().err


def test_a_network_with_parts_of_this_package_imports_it(repo):
    folder = repo / "configs"
    marginal = Config.fromfile(folder / "da_3d/studio2street3d_res18_dfa.py")
    assert deploy_config(marginal)["custom_imports"] == dict(imports=["mmpose_da"])
    stock = Config.fromfile(folder / "da/studio2street_res18_mla.py")
    assert "custom_imports" not in deploy_config(stock)


def test_says_from_what_on_what_and_how(run, tmp_path):
    cfg, checkpoint = run
    cfg.load_from = "source.pth"
    weights, config = publish(cfg, checkpoint, tmp_path / "stock.pth", "teacher")
    record = torch.load(weights, weights_only=True)["meta"]["adaptation"]
    assert record == Config.fromfile(config).adaptation.to_dict()
    dataset = cfg.train_dataloader.dataset
    assert record["start"] == "source.pth" and record["network"] == "teacher"
    assert record["source"] == [dataset.source.ann_file]
    assert record["target"] == [dataset.target.ann_file]
    assert record["adaptations"]["cafa"] == dict(type="CAFA", weight=0.5)
    assert record["iterations"] == 30 and record["by"].startswith("MMPose-DA ")
    assert record["verified_on"] == "8 people of the target"


def test_is_verified_on_people_of_the_target(run, tmp_path, monkeypatch):
    cfg, checkpoint = run
    module = sys.modules["mmpose_da.apis.publish"]
    seen = []

    def infer(model, image, boxes):
        seen.append((image, boxes))
        return inference_topdown(model, image, boxes)

    monkeypatch.setattr(module, "inference_topdown", infer)
    publish(cfg, checkpoint, tmp_path / "stock.pth")
    folder = cfg.train_dataloader.dataset.target.data_prefix.img
    assert len({image for image, _ in seen}) == 8 and len(seen) == 16
    assert all(image.startswith(folder) for image, _ in seen)
    assert all(boxes.shape == (1, 4) for _, boxes in seen)


def test_without_the_images_it_is_verified_on_random_ones(run, tmp_path):
    cfg, checkpoint = run
    cfg.train_dataloader.dataset.target.ann_file = "nowhere.json"
    weights, _ = publish(cfg, checkpoint, tmp_path / "stock.pth")
    record = torch.load(weights)["meta"]["adaptation"]
    assert record["verified_on"] == "random images"
