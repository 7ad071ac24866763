"""tools/publish_model.py."""

import hashlib
import os
import subprocess
import sys

import numpy as np
import pytest
import torch


@pytest.fixture
def tool(load_tool):
    return load_tool("publish_model")


@pytest.fixture
def adapted(tmp_path):
    """A checkpoint as the runner writes it."""
    path = tmp_path / "adapted.pth"
    torch.manual_seed(0)
    checkpoint = dict(
        meta=dict(
            dataset_meta=dict(
                sigmas=np.array([0.5, 0.25], dtype=np.float32),
                joints={np.int64(0): ("head", np.float64(1.5))},
            ),
            epoch=3,
            iter=30,
            cfg="model = dict(type='DomainAdaptiveTopdown')",
            experiment_name="adapt",
        ),
        state_dict={
            "backbone.conv1.weight": torch.rand(2, 3),
            "head.adaptations.weight": torch.rand(1),  # not a prefix
            "adaptations.0.discriminator.weight": torch.rand(4),
        },
        optimizer=dict(state={}),
        param_schedulers=[],
        message_hub={},
    )
    torch.save(checkpoint, path)
    return path


def test_keeps_what_the_stock_estimator_needs(tool, adapted, tmp_path):
    path = tool.publish(adapted, tmp_path / "out" / "stock.pth")
    published = torch.load(path)
    before = torch.load(adapted)["state_dict"]
    assert set(published) == {"meta", "state_dict"}
    assert list(published["state_dict"]) == [
        "backbone.conv1.weight",
        "head.adaptations.weight",
    ]
    for key, value in published["state_dict"].items():
        assert torch.equal(value, before[key])
    assert published["meta"] == dict(
        dataset_meta=dict(sigmas=[0.5, 0.25], joints={0: ("head", 1.5)}),
        epoch=3,
        iter=30,
        experiment_name="adapt",
    )


@pytest.fixture
def with_teacher(adapted):
    """The same with a teacher."""
    checkpoint = torch.load(adapted)
    checkpoint["state_dict"].update(
        {
            "adaptations.mt.average.steps": torch.tensor(3),
            "adaptations.mt.average.module.backbone.conv1.weight": torch.ones(2, 3),
            "adaptations.mt.average.module.head.adaptations.weight": torch.ones(1),
        }
    )
    torch.save(checkpoint, adapted)
    return adapted


def test_teacher_or_student(tool, with_teacher, tmp_path):
    for network, ones in (("teacher", True), ("student", False)):
        path = tool.publish(with_teacher, tmp_path / f"{network}.pth", network)
        weights = torch.load(path)["state_dict"]
        assert list(weights) == ["backbone.conv1.weight", "head.adaptations.weight"]
        assert all(bool((w == 1).all()) == ones for w in weights.values())


def test_network_must_be_named_where_there_are_two(tool, with_teacher, tmp_path):
    with pytest.raises(ValueError, match="--network"):
        tool.publish(with_teacher, tmp_path / "stock.pth")


def test_no_teacher_to_publish(tool, adapted, tmp_path):
    with pytest.raises(ValueError, match="no teacher"):
        tool.publish(adapted, tmp_path / "stock.pth", "teacher")


def test_name_holds_the_hash_and_nothing_else_is_left(tool, adapted, tmp_path):
    path = tool.publish(adapted, tmp_path / "out" / "stock.pth")
    digits = hashlib.sha256(path.read_bytes()).hexdigest()[:8]
    assert path == tmp_path / "out" / f"stock-{digits}.pth"
    assert list(path.parent.iterdir()) == [path]
    # The same weights give the same file, under whatever name.
    assert tool.publish(adapted, tmp_path / "out" / "x.pth").name == f"x-{digits}.pth"


def test_a_failure_leaves_no_file(tool, adapted, tmp_path, monkeypatch):
    def fail(checkpoint, file):
        file.write(b"half")
        raise OSError("disk full")

    monkeypatch.setattr(torch, "save", fail)
    with pytest.raises(OSError, match="disk full"):
        tool.publish(adapted, tmp_path / "out" / "stock.pth")
    assert not list((tmp_path / "out").iterdir())


def test_loads_safely_without_this_package(tool, adapted, tmp_path):
    path = tool.publish(adapted, tmp_path / "stock.pth")
    code = f"import torch; torch.load({str(path)!r}, weights_only=True)"
    # Outside of the project; the adapted one shows that it makes a difference.
    run = [sys.executable, "-c", code]
    subprocess.run(run, check=True, cwd=tmp_path, timeout=300)
    run[-1] = code.replace(path.name, adapted.name)
    result = subprocess.run(run, cwd=tmp_path, timeout=300, capture_output=True)
    assert b"weights_only" in result.stderr.lower() and result.returncode != 0


def test_errors_name_the_file(tool, tmp_path, capsys):
    weights = tmp_path / "weights.pth"
    torch.save({"conv.weight": torch.rand(1)}, weights)
    with pytest.raises(FileNotFoundError, match="none.pth"):
        tool.publish(tmp_path / "none.pth", tmp_path / "out.pth")
    with pytest.raises(ValueError, match=r"weights.pth.*no `state_dict`.*conv.weight"):
        tool.publish(weights, tmp_path / "out.pth")
    torch.save({"state_dict": {"adaptations.0.weight": torch.rand(1)}}, weights)
    with pytest.raises(SystemExit) as error:
        tool.main([os.fspath(weights), os.fspath(tmp_path / "out.pth")])
    assert error.value.code == 1
    assert "no key without 'adaptations.'" in capsys.readouterr().err


def test_prints_the_name(tool, adapted, tmp_path, capsys):
    tool.main([os.fspath(adapted), os.fspath(tmp_path / "stock.pth")])
    assert (tmp_path / capsys.readouterr().out.strip()).is_file()
