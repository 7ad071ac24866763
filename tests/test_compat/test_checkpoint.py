"""Checkpoints of MMEngine under ``torch.load(weights_only=True)``."""

import os
import pickle
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.logging import HistoryBuffer
from mmengine.model import BaseModel
from mmengine.runner import Runner
from torch.utils.data import Dataset

from mmpose_da.compat.checkpoint import (
    _loads_weights_only,
    register_safe_globals,
    safe_globals,
)

needs_weights_only = pytest.mark.skipif(
    not _loads_weights_only(), reason="torch.load is safe by default since PyTorch 2.6"
)


class Points(Dataset):
    """Eight points, and NumPy data of each kind that MMPose's metainfo has."""

    metainfo = dict(
        dataset_name="points",
        num_keypoints=3,
        flip_indices=[0, 2, 1],
        sigmas=np.array([0.1, 0.2, 0.3], dtype=np.float32),
        dataset_keypoint_weights=np.ones(3),
        keypoint_colors=np.zeros((3, 3), dtype=np.uint8),
        indices=np.arange(3),
        visible=np.array([True, False, True]),
        best=np.float32(0.5),
    )

    def __len__(self):
        return 8

    def __getitem__(self, index):
        generator = torch.Generator().manual_seed(index)
        return torch.rand(4, generator=generator)


class Linear(BaseModel):
    """The smallest model that a runner trains."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.layer = torch.nn.Linear(4, 1)

    def forward(self, *inputs, mode="loss"):
        prediction = self.layer(torch.stack(inputs))
        return dict(loss=(prediction - 1).square().mean(), accuracy=prediction.mean())


def make_runner(work_dir, name, load_from=None):
    return Runner(
        Linear(),
        str(work_dir),
        train_dataloader=dict(
            dataset=Points(),
            batch_size=2,
            num_workers=0,
            sampler=dict(type="DefaultSampler", shuffle=False),
        ),
        train_cfg=dict(by_epoch=True, max_epochs=3),
        optim_wrapper=dict(optimizer=dict(type="Adam", lr=0.1)),
        param_scheduler=[
            dict(type="LinearLR", by_epoch=False, begin=0, end=3, start_factor=0.1),
            dict(type="MultiStepLR", milestones=[1, 2]),
        ],
        default_hooks=dict(logger=dict(type="LoggerHook", interval=1)),
        load_from=load_from and str(load_from),
        resume=load_from is not None,
        experiment_name=name,
    )


@pytest.fixture
def whole(tmp_path):
    runner = make_runner(tmp_path / "whole", "whole")
    runner.train()
    return runner


@pytest.fixture
def checkpoint(whole):
    return Path(whole.work_dir) / "epoch_2.pth"


@pytest.fixture
def no_safe_globals():
    declared = torch.serialization.get_safe_globals()
    torch.serialization.clear_safe_globals()
    yield
    torch.serialization.add_safe_globals(declared)


def test_resume_ends_with_the_weights_of_the_whole_run(whole, checkpoint, tmp_path):
    resumed = make_runner(tmp_path / "resumed", "resumed", load_from=checkpoint)
    resumed.train()
    assert resumed.iter == whole.iter == 12
    for ours, theirs in zip(
        resumed.model.parameters(), whole.model.parameters(), strict=True
    ):
        assert torch.equal(ours, theirs)
    losses = [r.message_hub.get_scalar("train/loss").data[0] for r in (resumed, whole)]
    np.testing.assert_array_equal(*losses)


def test_content_survives(checkpoint):
    loaded = torch.load(checkpoint, map_location="cpu")
    for key, value in Points.metainfo.items():
        np.testing.assert_array_equal(loaded["meta"]["dataset_meta"][key], value)
    buffer = loaded["message_hub"]["log_scalars"]["train/loss"]
    assert isinstance(buffer, HistoryBuffer)
    assert len(buffer.data[0]) == 8
    assert buffer.statistics("mean", window_size=2) == buffer.data[0][-2:].mean()
    assert set(loaded) >= {"state_dict", "optimizer", "param_schedulers"}


@needs_weights_only
def test_the_declaration_is_what_makes_it_load(checkpoint, no_safe_globals):
    with pytest.raises(pickle.UnpicklingError, match="Unsupported global"):
        torch.load(checkpoint)
    register_safe_globals()
    torch.load(checkpoint)


@needs_weights_only
@pytest.mark.parametrize("core", [b"numpy.core", b"numpy._core"])
def test_written_by_numpy_1_and_2(checkpoint, tmp_path, core):
    rewritten = tmp_path / "rewritten.pth"
    names = []
    with zipfile.ZipFile(checkpoint) as old, zipfile.ZipFile(rewritten, "w") as new:
        for entry in old.infolist():
            data = old.read(entry)
            if entry.filename.endswith("data.pkl"):
                for other in (b"numpy.core.", b"numpy._core."):
                    data = data.replace(b"c" + other, b"c" + core + b".")
                names = [n for n in (b"numpy.core.", b"numpy._core.") if n in data]
            new.writestr(entry, data)
    assert names == [core + b"."]
    meta = torch.load(rewritten)["meta"]["dataset_meta"]
    np.testing.assert_array_equal(meta["sigmas"], Points.metainfo["sigmas"])


class Payload:
    """Something that runs a function when it is unpickled."""

    def __init__(self, function, *args):
        self.reduced = function, args

    def __reduce__(self):
        return self.reduced


@needs_weights_only
@pytest.mark.parametrize("function", [os.system, eval, exec])
def test_a_payload_is_refused_and_does_not_run(tmp_path, function):
    marker = tmp_path / "marker"
    code = f"open({str(marker)!r}, 'w').close()"
    if function is os.system:
        code = f"touch '{marker}'"
    payload = Payload(function, code)
    path = tmp_path / "payload.pth"
    torch.save(dict(state_dict={}, meta=payload), path)

    with pytest.raises(pickle.UnpicklingError, match="(?i)unsupported global"):
        torch.load(path)
    assert not marker.exists()
    pickle.loads(pickle.dumps(payload))  # unpickled as it is, it does run
    assert marker.exists()


@needs_weights_only
@pytest.mark.parametrize(
    "owner, name",
    [
        (HistoryBuffer, "__init__"),
        (HistoryBuffer, "__subclasses__"),
        (HistoryBuffer, "register_statistics"),
        (np.ndarray, "mean"),
        (torch.Tensor, "__class__"),
    ],
)
def test_getattr_reads_nothing_but_statistics(tmp_path, owner, name):
    path = tmp_path / "payload.pth"
    torch.save(dict(meta=Payload(getattr, owner, name)), path)
    with pytest.raises(pickle.UnpicklingError, match=f"the attribute '{name}'"):
        torch.load(path)


def test_no_dangerous_function_is_declared():
    declared = {
        entry[0] if isinstance(entry, tuple) else entry for entry in safe_globals()
    }
    assert not declared & {getattr, eval, exec, os.system, __import__}
    modules = {entry.__module__.partition(".")[0] for entry in declared}
    assert modules == {"numpy", "mmengine", "mmpose_da"}
