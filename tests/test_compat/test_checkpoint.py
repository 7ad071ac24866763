"""Checkpoints are read as data: what MMEngine and MMPose write loads."""

import os
import pickle
import time
import zipfile
from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.error import URLError

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.logging import HistoryBuffer
from mmengine.model import BaseModel
from mmengine.runner import CheckpointLoader, Runner, load_checkpoint
from torch.utils.data import Dataset

from mmpose_da.compat.checkpoint import (
    _declares_by_name,
    register_safe_globals,
    safe_globals,
)

pytestmark = pytest.mark.usefixtures("unpickler")


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


def load(path, logger="silent"):
    return CheckpointLoader.load_checkpoint(str(path), "cpu", logger)


def rewrite(source, target, change):
    """Copy a checkpoint with its pickle changed."""
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w") as new:
        for entry in old.infolist():
            data = old.read(entry)
            is_pickle = entry.filename.endswith("data.pkl")
            new.writestr(entry, change(data) if is_pickle else data)


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
    loaded = load(checkpoint)
    for key, value in Points.metainfo.items():
        np.testing.assert_array_equal(loaded["meta"]["dataset_meta"][key], value)
    buffer = loaded["message_hub"]["log_scalars"]["train/loss"]
    assert isinstance(buffer, HistoryBuffer)
    assert len(buffer.data[0]) == 8
    assert buffer.statistics("mean", window_size=2) == buffer.data[0][-2:].mean()
    assert set(loaded) >= {"state_dict", "optimizer", "param_schedulers"}


@pytest.mark.skipif(
    not _declares_by_name(), reason="nothing is declared to PyTorch before 2.6"
)
def test_the_declaration_is_what_makes_it_load(unpickler, checkpoint):
    if unpickler == "own":
        pytest.skip("it knows what is declared from its installation")
    declared = torch.serialization.get_safe_globals()
    torch.serialization.clear_safe_globals()
    try:
        with pytest.raises(pickle.UnpicklingError, match="Unsupported global"):
            torch.load(checkpoint)
        register_safe_globals()
        torch.load(checkpoint)
    finally:
        torch.serialization.add_safe_globals(declared)


@pytest.mark.parametrize("core", [b"numpy.core", b"numpy._core"])
def test_written_by_numpy_1_and_2(checkpoint, tmp_path, core):
    names = []

    def change(data):
        for other in (b"numpy.core.", b"numpy._core."):
            data = data.replace(b"c" + other, b"c" + core + b".")
        names.extend(n for n in (b"numpy.core.", b"numpy._core.") if n in data)
        return data

    rewrite(checkpoint, tmp_path / "rewritten.pth", change)
    assert names == [core + b"."]
    meta = load(tmp_path / "rewritten.pth")["meta"]["dataset_meta"]
    np.testing.assert_array_equal(meta["sigmas"], Points.metainfo["sigmas"])


META = dict(
    mmengine=dict(
        cfg="model = dict(type='TopdownPoseEstimator')",
        dataset_meta=Points.metainfo,
        epoch=210,
        iter=1000,
        experiment_name="td-hm_res50",
        hook_msgs=dict(best_score=np.float64(0.7), best_ckpt="best.pth"),
        mmengine_version="0.4.0",
        seed=2023,
        time="20230102_030405",
    ),
    mmcv=dict(  # MMPose 0.x
        CLASSES=("person",),
        config="model = dict(type='TopDown')",
        env_info="sys.platform: linux",
        epoch=210,
        iter=1000,
        hook_msgs=dict(best_score=0.7),
        mmpose_version="0.29.0",
        seed=None,
    ),
)


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "old"])
@pytest.mark.parametrize("form", ["mmengine", "mmcv", "plain"])
def test_published_checkpoints_load(tmp_path, form, zipped):
    model, other = Linear(), Linear()
    torch.nn.init.ones_(other.layer.weight)
    state = other.state_dict()  # with the attribute _metadata
    content = state if form == "plain" else dict(meta=META[form], state_dict=state)
    path = tmp_path / "published.pth"
    torch.save(content, path, _use_new_zipfile_serialization=zipped)

    loaded = load_checkpoint(model, str(path), strict=True, logger="silent")
    assert torch.equal(model.layer.weight, torch.ones(1, 4))
    if form != "plain":
        expected = {k: v for k, v in META[form].items() if k != "config"}
        np.testing.assert_equal(loaded["meta"], expected)


DTYPES = (torch.bool, torch.uint8, torch.int64, torch.half, torch.bfloat16)


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "old"])
def test_tensors_and_plain_data_of_every_kind_load(tmp_path, zipped):
    tensors = dict(
        dtypes=[torch.arange(4).to(dtype).reshape(2, 2) for dtype in DTYPES],
        view=torch.arange(6.0)[::2],
        parameter=torch.nn.Parameter(torch.ones(2)),
    )
    plain = dict(
        size=torch.Size([1, 2]),
        dtype=torch.float16,
        ordered=OrderedDict(a=1),
        builtin=[None, True, 1 << 40, 0.5, 1j, "text", b"bytes", (1, {2}), {"a": []}],
        numbers=[np.float32(0.5), np.int64(3), np.bool_(True)],
    )
    path = tmp_path / "all.pth"
    torch.save([tensors, plain], path, _use_new_zipfile_serialization=zipped)
    loaded_tensors, loaded_plain = load(path)
    assert loaded_plain == plain
    torch.testing.assert_close(loaded_tensors, tensors, rtol=0, atol=0)
    assert isinstance(loaded_tensors["parameter"], torch.nn.Parameter)


# Damage can look like a pickle that requests something else.
UNREADABLE = (RuntimeError, pickle.UnpicklingError)


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "old"])
@pytest.mark.parametrize("keep", [0, 1, 50, 0.5, 0.9, -1])
def test_a_truncated_file_is_named(checkpoint, tmp_path, keep, zipped):
    path = tmp_path / "truncated.pth"
    torch.save(load(checkpoint), path, _use_new_zipfile_serialization=zipped)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(keep * len(whole)) if 0 < keep < 1 else keep])
    with pytest.raises(UNREADABLE, match="'.*truncated.pth' .* get a new copy"):
        load(path)


@pytest.mark.parametrize("content", [b"<html>not found</html>", b"version https://git"])
def test_a_file_that_is_no_checkpoint_is_named(tmp_path, content):
    path = tmp_path / "page.pth"
    path.write_bytes(content)
    with pytest.raises(UNREADABLE, match="page.pth' .* get a new copy"):
        load(path)


def test_a_missing_file_stays_a_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError, match="missing.pth"):
        load(tmp_path / "missing.pth")


def test_the_config_in_a_checkpoint_is_not_run(checkpoint, tmp_path, capsys):
    marker = tmp_path / "marker"
    code = f"open({str(marker)!r}, 'w').close()"
    content = load(checkpoint)
    content["meta"]["config"] = code
    torch.save(content, checkpoint)

    make_runner(tmp_path / "resumed", "resumed", load_from=checkpoint).train()
    assert not marker.exists()
    assert "config" not in load(checkpoint, logger=None)["meta"]
    assert f"The config in the checkpoint '{checkpoint}'" in capsys.readouterr().out
    Config.fromstring(code, file_format=".py")  # as resuming does it
    assert marker.exists()


@pytest.mark.parametrize("before", [{}, {"TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD": "1"}])
def test_the_environment_stays_as_it_was(checkpoint, tmp_path, monkeypatch, before):
    for name, value in before.items():
        monkeypatch.setenv(name, value)
    environment = dict(os.environ)
    load(checkpoint)
    assert dict(os.environ) == environment
    with pytest.raises(FileNotFoundError):
        load(tmp_path / "missing.pth")
    assert dict(os.environ) == environment


def test_threads_do_not_take_the_protection_from_each_other(checkpoint, monkeypatch):
    environment, seen = dict(os.environ), []
    torch_load = torch.load

    def slow_load(*args, **kwargs):
        time.sleep(0.01)
        seen.append(os.environ.get("TORCH_FORCE_WEIGHTS_ONLY_LOAD"))
        return torch_load(*args, **kwargs)

    monkeypatch.setattr(torch, "load", slow_load)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: load(checkpoint), range(16)))
    assert seen == ["1"] * 16
    assert dict(os.environ) == environment


def test_no_dangerous_function_is_declared():
    declared = {
        entry[0] if isinstance(entry, tuple) else entry for entry in safe_globals()
    }
    assert not declared & {getattr, eval, exec, os.system, __import__}
    modules = {entry.__module__.partition(".")[0] for entry in declared}
    assert modules == {"numpy", "mmengine", "mmpose_da"}


def test_download_that_fails_says_what_to_do_without_a_network(monkeypatch):
    """And it does not call the weights damaged."""

    def refuse(*args, **kwargs):
        raise URLError("Name or service not known")

    monkeypatch.setattr("torch.hub.urlopen", refuse)
    name = "https://example.org/never-downloaded.pth"
    with pytest.raises(RuntimeError, match="cannot be downloaded") as error:
        CheckpointLoader.load_checkpoint(name, "cpu", "silent")
    assert name in str(error.value) and "from_scratch=True" in str(error.value)
    assert "damaged" not in str(error.value)


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "old"])
def test_empty_arrays_load(tmp_path, zipped):
    """Such as the sigmas of Human3.6M's joints, which MMPose does not have."""
    content = dict(meta=dict(sigmas=np.zeros(0, np.float32), ids=np.zeros((0, 3), int)))
    path = tmp_path / "empty.pth"
    torch.save(content, path, _use_new_zipfile_serialization=zipped)
    meta = load(path)["meta"]
    assert meta["sigmas"].shape == (0,) and meta["sigmas"].dtype == np.float32
    assert meta["ids"].shape == (0, 3)


class _ManyBytes:
    def __reduce__(self):
        return bytes, (1 << 62,)


def test_bytes_are_not_made_of_a_number(tmp_path):
    path = tmp_path / "many.pth"
    torch.save(dict(meta=_ManyBytes()), path)
    with pytest.raises(pickle.UnpicklingError, match="bytes of a size"):
        load(path)
