"""Checkpoints that try to run code: nothing runs, and the error names it."""

import importlib
import operator
import os
import pickle
import subprocess
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest
import torch
from mmengine.logging import HistoryBuffer
from mmengine.runner import CheckpointLoader

pytestmark = pytest.mark.usefixtures("unpickler")


class Call:
    """Calls a function when it is unpickled."""

    def __init__(self, function, *args):
        self.reduced = function, args

    def __reduce__(self):
        return self.reduced

    def __call__(self):
        """To be the function of another one, as pickle sees it."""


def touch(marker):
    return f"touch '{marker}'"


def code(marker):
    return f"open({str(marker)!r}, 'w').close()"


def call_of_a_global(marker):
    """From a function that may be loaded to `eval`."""
    names = Call(getattr, HistoryBuffer.mean, "__globals__")
    builtins = Call(operator.getitem, names, "__builtins__")
    return Call(Call(operator.getitem, builtins, "eval"), code(marker))


def load_of_numpy(marker):
    path = marker.with_suffix(".npy")
    np.save(path, np.array([Call(eval, code(marker))], dtype=object))
    return Call(np.load, str(path), None, True)


def load_of_torch(marker):
    path = marker.with_suffix(".inner")
    torch.save(Call(eval, code(marker)), path)
    return Call(torch.load, str(path), None, Call(importlib.import_module, "pickle"))


def statistics(marker):
    buffer = HistoryBuffer([1.0], [1])
    buffer._statistics_methods = dict(mean=Call(eval, code(marker)))
    return buffer


# How it is made, and what the error names.
PAYLOADS = dict(
    os_system=(lambda marker: Call(os.system, touch(marker)), "posix.system"),
    subprocess=(
        lambda marker: Call(subprocess.run, ["touch", str(marker)]),
        "(commands|subprocess).run",  # commands in Python 2
    ),
    eval=(lambda marker: Call(eval, code(marker)), "eval"),
    exec=(lambda marker: Call(exec, code(marker)), "exec"),
    partial=(lambda marker: Call(partial(eval, code(marker))), "functools.partial"),
    getattr=(
        lambda marker: Call(
            Call(getattr, Call(__import__, "os"), "system"), touch(marker)
        ),
        "__import__",
    ),
    globals=(call_of_a_global, "_operator.getitem"),
    pickle=(
        lambda marker: Call(pickle.loads, pickle.dumps(Call(eval, code(marker)))),
        "_?pickle.loads",
    ),
    numpy_load=(load_of_numpy, "numpy.load"),
    torch_load=(load_of_torch, "torch.serialization.load"),
    statistics=(statistics, "eval"),
    object_array=(
        lambda marker: np.array([Call(eval, code(marker))], dtype=object),
        "O8",
    ),
)
PLACES = dict(
    state_dict=lambda payload: dict(state_dict={"layer.weight": payload}),
    meta=lambda payload: dict(state_dict={}, meta=dict(dataset_meta=payload)),
    message_hub=lambda payload: dict(message_hub=dict(log_scalars={"loss": payload})),
    optimizer=lambda payload: dict(optimizer=dict(state={0: dict(exp_avg=payload)})),
)


def load(path):
    return CheckpointLoader.load_checkpoint(str(path), "cpu", "silent")


def refused(file, name):
    """The error that names the file and what it requested."""
    message = (
        rf"{file}' is rejected, and none of its code was run: .*'(builtins\.)?{name}'"
    )
    return pytest.raises(pickle.UnpicklingError, match=message)


@pytest.fixture
def marker(tmp_path):
    return tmp_path / "marker"


@pytest.fixture
def server(tmp_path, monkeypatch):
    """Serves tmp_path; what is downloaded lands in it too."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch_home"))
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    handler = partial(SimpleHTTPRequestHandler, directory=tmp_path)
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("name", PAYLOADS)
def test_a_payload_would_run_if_it_were_unpickled(marker, name, monkeypatch):
    """Otherwise, the other tests would prove nothing."""
    payload, _ = PAYLOADS[name]
    statistics = HistoryBuffer._statistics_methods.copy()  # one of them changes these
    monkeypatch.setattr(HistoryBuffer, "_statistics_methods", statistics)
    pickle.loads(pickle.dumps(payload(marker), protocol=2))
    assert marker.exists()


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "old"])
@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("name", PAYLOADS)
def test_a_payload_is_refused_by_name(tmp_path, marker, name, place, zipped):
    payload, asked_for = PAYLOADS[name]
    content = PLACES[place](payload(marker))
    path = tmp_path / "attack.pth"
    torch.save(content, path, _use_new_zipfile_serialization=zipped)
    with refused("attack.pth", asked_for):
        load(path)
    assert not marker.exists()


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "old"])
@pytest.mark.parametrize("name", PAYLOADS)
def test_a_payload_from_a_url_is_refused_by_name(
    tmp_path, marker, server, name, zipped
):
    payload, asked_for = PAYLOADS[name]
    content = dict(state_dict=payload(marker))
    torch.save(content, tmp_path / "url.pth", _use_new_zipfile_serialization=zipped)
    with refused(f"{server}/url.pth", asked_for):
        load(f"{server}/url.pth")
    assert (tmp_path / "torch_home/hub/checkpoints/url.pth").exists()
    assert not marker.exists()


def test_weights_from_a_url_load(tmp_path, server):
    torch.save(dict(state_dict=dict(w=torch.ones(2))), tmp_path / "good.pth")
    assert torch.equal(load(f"{server}/good.pth")["state_dict"]["w"], torch.ones(2))


def test_a_failed_download_is_named(server):
    with pytest.raises(RuntimeError, match=f"'{server}/missing.pth' .*404"):
        load(f"{server}/missing.pth")


@pytest.mark.parametrize("variable", [None, "TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD"])
def test_a_loader_that_trusts_its_files_is_overruled(
    tmp_path, marker, monkeypatch, variable
):
    if variable is not None:
        monkeypatch.setenv(variable, "1")
    monkeypatch.setattr(CheckpointLoader, "_schemes", CheckpointLoader._schemes.copy())
    CheckpointLoader.register_scheme(
        "trusting://",
        lambda path, map_location: torch.load(path[11:], weights_only=False),
    )
    torch.save(Call(eval, code(marker)), tmp_path / "attack.pth")
    with refused("attack.pth", "eval"):
        load(f"trusting://{tmp_path}/attack.pth")
    assert not marker.exists()


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
    path = tmp_path / "attack.pth"
    torch.save(dict(meta=Call(getattr, owner, name)), path)
    with refused("attack.pth", name):
        load(path)


class Dtype:
    """A float64 with a field that lies outside of its 8 bytes."""

    def __reduce__(self):
        fields = {"far": (np.dtype("f8"), 1 << 40)}
        state = (3, "<", None, ("far",), fields, -1, -1, 0)
        return np.dtype, ("f8", False, True), state


def test_no_state_changes_a_dtype(tmp_path):
    torch.save(dict(meta=Dtype()), tmp_path / "attack.pth")
    loaded = load(tmp_path / "attack.pth")["meta"]
    assert loaded == np.dtype("f8") and loaded.names is None
    unpickled = pickle.loads(pickle.dumps(Dtype()))  # with NumPy's own
    assert unpickled.names == ("far",)


class Mean:
    """The function `HistoryBuffer.mean`, with an attribute that it lacks."""

    def __reduce__(self):
        return getattr, (HistoryBuffer, "mean"), (None, dict(changed=True))


def test_no_state_changes_a_function(tmp_path):
    torch.save(dict(meta=Mean()), tmp_path / "attack.pth")
    with pytest.raises(pickle.UnpicklingError, match="attack.pth' is rejected.*'func"):
        load(tmp_path / "attack.pth")
    assert not hasattr(HistoryBuffer.mean, "changed")


def test_torchscript_is_refused(tmp_path, monkeypatch):
    path = tmp_path / "script.pth"
    torch.jit.script(torch.nn.ReLU()).save(str(path))
    ran = []
    monkeypatch.setattr(torch.jit, "load", lambda *args, **kwargs: ran.append(args))
    with pytest.raises(RuntimeError, match="script.pth' cannot be read.*TorchScript"):
        load(path)
    assert not ran
