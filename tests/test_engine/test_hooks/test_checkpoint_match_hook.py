"""Checkpoints that a run starts from, or that are tested: each table row is one."""

from pathlib import Path

import pytest
import torch
from mmengine.runner import Runner
from mmpose.registry import MODELS
from tiny_model import build, model_config
from tiny_run import METHOD


def weights(num_keypoints: int = 16) -> dict:
    model = MODELS.build(model_config(num_keypoints, type="TopdownPoseEstimator"))
    return model.state_dict()


def renamed(state_dict: dict) -> dict:
    return {f"network.{name}": weight for name, weight in state_dict.items()}


def only(state_dict: dict, part: str) -> dict:
    return {name: w for name, w in state_dict.items() if name.startswith(part)}


CHECKPOINTS = {
    # content of the file, error of a run that starts from it, error of a test
    "all weights": (weights, None, None),
    "a backbone": (lambda: only(weights(), "backbone."), None, "among them .'head."),
    "other joints": (lambda: weights(17), None, "head.final_layer.weight"),
    "another model": (lambda: renamed(weights()), "not match this", "not match this"),
    "nothing": (dict, "not match this", "not match this"),
}


@pytest.fixture
def load_from(tmp_path):
    """Start training or testing from a file, up to loading the file."""

    def load(path: Path, training: bool, network: str = "student") -> None:
        model = model_config(
            type="DomainAdaptiveTopdown", joints="MpiiDataset", adaptations=METHOD
        )
        model["test_cfg"]["network"] = network
        runner = Runner(
            model=model,
            default_scope="mmpose",
            work_dir=str(tmp_path / "work"),
            load_from=str(path),
            custom_hooks=[dict(type="CheckpointMatchHook", complete=not training)],
            experiment_name=f"{tmp_path.name}_{training}",
        )
        runner.load_or_resume()

    return load


@pytest.mark.parametrize(
    "content, in_training, in_test", CHECKPOINTS.values(), ids=CHECKPOINTS
)
def test_checkpoint(tmp_path, load_from, content, in_training, in_test):
    path = tmp_path / "some.pth"
    torch.save(dict(state_dict=content()), path)
    for training, message in ((True, in_training), (False, in_test)):
        if message is None:
            load_from(path, training)
        else:
            with pytest.raises(ValueError, match=message) as error:
                load_from(path, training)
            assert str(path) in str(error.value)


def test_teacher_that_is_to_be_tested_must_be_in_the_checkpoint(tmp_path, load_from):
    estimator = build(joints="MpiiDataset", adaptations=METHOD).state_dict()
    torch.save(estimator, tmp_path / "all.pth")
    load_from(tmp_path / "all.pth", False, network="teacher")
    torch.save(weights(), tmp_path / "student.pth")
    with pytest.raises(ValueError, match="student.pth.*among them .'adaptations.mean"):
        load_from(tmp_path / "student.pth", False, network="teacher")


def test_weights_of_another_shape_are_in_the_log(tmp_path, load_from, capsys):
    """This is a warning of MMEngine."""
    torch.save(dict(state_dict=weights(17)), tmp_path / "some.pth")
    load_from(tmp_path / "some.pth", True)
    printed = "".join(capsys.readouterr())
    assert "size mismatch for head.final_layer.weight" in printed


def test_models_that_are_no_estimators(tmp_path):
    """Such as those of styles, which start from each other."""
    cfg = dict(type="ImageAutoencoder", channels=(4, None, 6))
    state = MODELS.build(cfg).state_dict()

    def load(state_dict):
        torch.save(dict(state_dict=state_dict), tmp_path / "some.pth")
        Runner(
            model=dict(cfg),
            default_scope="mmpose",
            work_dir=str(tmp_path / "work"),
            load_from=str(tmp_path / "some.pth"),
            custom_hooks=[dict(type="CheckpointMatchHook")],
            experiment_name=f"{tmp_path.name}_{len(state_dict)}",
        ).load_or_resume()

    load(state)
    with pytest.raises(ValueError, match="does not match this ImageAutoencoder"):
        load(dict())
