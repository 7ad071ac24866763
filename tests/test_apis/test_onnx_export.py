"""Export to ONNX, and what ONNX Runtime makes of it."""

import importlib.util
import json
import sys

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.hub import get_config
from mmpose.apis import init_model
from mmpose.registry import MODELS
from tiny_model import LOCATION_FREE_HEAD, model_config
from tiny_site import write_model

from mmpose_da.apis import onnx_export, publish
from mmpose_da.apis.onnx_export import RawOutput, export_onnx

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")

BODY = "mmpose::body_2d_keypoint/"
RTMPOSE = BODY + "rtmpose/coco/rtmpose-t_8xb256-420e_coco-256x192.py"
MSPN = BODY + "topdown_heatmap/coco/td-hm_mspn50_8xb32-210e_coco-256x192.py"


def tiny(folder, head):
    config, checkpoint = write_model(folder, head)
    return init_model(str(config), str(checkpoint), device="cpu")


def run(path, images):
    session = onnxruntime.InferenceSession(
        str(path), providers=["CPUExecutionProvider"]
    )
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(names, dict(input=images.numpy())), strict=True))


@pytest.mark.parametrize(
    "head, names", [("heatmap", ["output"]), ("simcc", ["simcc_x", "simcc_y"])]
)
def test_output_is_that_of_the_network_for_any_batch(tmp_path, head, names):
    model = tiny(tmp_path, head)
    path = tmp_path / "model.onnx"
    assert export_onnx(model, torch.randn(2, 3, 64, 64), path, dict(joints=["nose"]))
    for size in (1, 5):
        images = torch.randn(size, 3, 64, 64)
        with torch.no_grad():
            expected = model._forward(images)
        expected = [expected] if head == "heatmap" else list(expected)
        found = run(path, images)
        assert list(found) == names
        for ours, theirs in zip(expected, found.values(), strict=True):
            np.testing.assert_allclose(theirs, ours.numpy(), atol=1e-5)
    [entry] = onnx.load(str(path)).metadata_props
    assert (entry.key, json.loads(entry.value)) == ("joints", ["nose"])


@pytest.mark.parametrize(
    "kind, classify, count", [("graph", False, 5), ("attention", True, 4)]
)
def test_a_location_free_head(tmp_path, kind, classify, count):
    """Locations, logits, and the maps that are pooled."""
    cfg = model_config(type="TopdownPoseEstimator")
    cfg["backbone"]["out_indices"] = (0, 1, 2)
    cfg["head"] = dict(
        LOCATION_FREE_HEAD,
        prototypes=dict(classify=classify),
        relations=dict(kind=kind),
        joints="MpiiDataset",
    )
    torch.manual_seed(0)
    model = MODELS.build(cfg)
    with torch.no_grad():
        for parameter in model.head.parameters():
            parameter.normal_(std=0.3)
        model._forward(torch.randn(8, 3, 64, 64))  # statistics
    path = tmp_path / "model.onnx"
    assert export_onnx(model.eval(), torch.randn(2, 3, 64, 64), path)
    images = torch.randn(5, 3, 64, 64)
    with torch.no_grad():
        location, logits, maps = model._forward(images)
    found = list(run(path, images).values())
    assert len(found) == count
    for ours, theirs in zip([location, logits, *maps], found, strict=True):
        assert ours.std(0).max() > 1e-3
        np.testing.assert_allclose(theirs, ours, atol=1e-4, rtol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("config, count", [(RTMPOSE, 2), (MSPN, 1)])
def test_networks_of_mmpose(tmp_path, config, count):
    """Attention over joints, and the last of several stages."""
    cfg = get_config(config)
    for part in (cfg.model, cfg.model.backbone, cfg.model.head):
        part.init_cfg = None
    model = MODELS.build(cfg.model).eval()
    width, height = model.head.decoder.input_size
    path = tmp_path / "model.onnx"
    assert export_onnx(model, torch.randn(2, 3, height, width), path)
    assert len(run(path, torch.randn(1, 3, height, width))) == count


def test_an_export_that_differs_is_refused(tmp_path, monkeypatch):
    model = tiny(tmp_path, "heatmap")
    calls = []

    class Changing(RawOutput):
        def forward(self, images):
            calls.append(len(images))
            return tuple(x + len(calls) for x in super().forward(images))

    monkeypatch.setattr(onnx_export, "RawOutput", Changing)
    with pytest.raises(RuntimeError, match="something else: 'output' differs by up to"):
        export_onnx(model, torch.randn(2, 3, 64, 64), tmp_path / "model.onnx")


def test_without_the_packages(tmp_path, monkeypatch, caplog):
    find = importlib.util.find_spec
    missing = {"onnx"}
    monkeypatch.setattr(
        "importlib.util.find_spec",
        lambda name, *args: None if name in missing else find(name, *args),
    )
    model, crops = tiny(tmp_path, "heatmap"), torch.randn(1, 3, 64, 64)
    with pytest.raises(RuntimeError, match="pip install onnx onnxruntime"):
        export_onnx(model, crops, tmp_path / "model.onnx")
    missing = {"onnxruntime"}
    assert not export_onnx(model, crops, tmp_path / "model.onnx")
    assert (tmp_path / "model.onnx").is_file()


def test_published_beside_the_weights(tmp_path, load_tool, capsys):
    """With what is needed to use it: normalization, codec, joints, origin."""
    config, checkpoint = adaptive(tmp_path)
    target = tmp_path / "out/adapted.pth"
    arguments = [str(config), str(checkpoint), str(target), "--onnx"]
    load_tool("publish_model").main(arguments)
    out = capsys.readouterr().out
    assert f"onnx:    {target.with_suffix('.onnx')}" in out
    assert sorted(p.suffix for p in target.parent.iterdir()) == [".onnx", ".pth", ".py"]
    model = onnx.load(str(target.with_suffix(".onnx")))
    said = {entry.key: json.loads(entry.value) for entry in model.metadata_props}
    assert said["joints"][0] == "nose" and len(said["joints"]) == 17
    assert said["codec"]["input_size"] == [64, 64]
    assert said["data_preprocessor"]["mean"] == [123.675, 116.28, 103.53]
    assert said["adaptation"]["network"] == "student"
    with pytest.raises(SystemExit):
        load_tool("publish_model").main(arguments)
    assert "exists" in capsys.readouterr().err


def test_a_failed_export_publishes_nothing(tmp_path, monkeypatch):
    config, checkpoint = adaptive(tmp_path)

    def fail(*args):
        raise RuntimeError("differs")

    monkeypatch.setattr(sys.modules["mmpose_da.apis.publish"], "export_onnx", fail)
    with pytest.raises(RuntimeError, match="differs"):
        publish(config, checkpoint, tmp_path / "out/adapted.pth", onnx=True)
    assert not list((tmp_path / "out").iterdir())


def adaptive(folder):
    """The tiny model as the student of a run that has no data on this machine."""
    config, checkpoint = write_model(folder)
    cfg = Config.fromfile(config)
    cfg.model.update(type="DomainAdaptiveTopdown", joints="CocoDataset")
    people = dict(type="CocoDataset", ann_file="nowhere.json")
    cfg.train_dataloader.dataset = dict(
        type="MixedDomainDataset", joints="CocoDataset", target=people
    )
    cfg.dump(folder / "adaptive.py")
    return folder / "adaptive.py", checkpoint
