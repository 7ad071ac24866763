"""Fixtures of all tests."""

import mmpose_da  # noqa: F401, I001 - before MMPose, so that mmcv-lite is enough

import importlib.util
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from mmengine.logging import MessageHub, MMLogger
from mmengine.registry import DefaultScope, init_default_scope
from mmengine.visualization import Visualizer
from mmpose.visualization import PoseLocalVisualizer
from quick_mmengine import make_quick
from tiny_domains import coco, mpii  # noqa: F401 - fixtures

from mmpose_da.apis.resume_check import differences, outcome

REPO = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def repo() -> Path:
    """The root of the project."""
    return REPO


@pytest.fixture
def load_tool(repo, monkeypatch):
    """Load a script of tools/ as a module, as if Python had been started with it."""
    monkeypatch.syspath_prepend(repo / "tools")
    monkeypatch.setenv("LOCAL_RANK", "0")  # the scripts set it, so it is restored

    def load(name: str):
        path = repo / "tools" / f"{name}.py"
        spec = importlib.util.spec_from_file_location(f"tools_{name}", path)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module

    return load


@pytest.fixture
def write_config(tmp_path):
    """Write a config file, and return its path."""

    def write(text: str, name: str = "toy.py") -> str:
        path = tmp_path / name
        path.write_text(text, encoding="utf-8")
        return str(path)

    return write


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real data sets; tests that need it are skipped without it."""
    folder = Path(os.environ.get("MMPOSE_DA_REAL_DATA", REPO.parent / "shared/data"))
    if not folder.is_dir():
        pytest.skip(f"no real data in {folder}; set MMPOSE_DA_REAL_DATA to its folder")
    return folder


@pytest.fixture(scope="session", autouse=True)
def quick_mmengine() -> Iterator[None]:
    """Small runs take a fraction of the time."""
    with pytest.MonkeyPatch.context() as patch:
        make_quick(patch)
        yield


@pytest.fixture(autouse=True)
def restore_global_instances() -> Iterator[None]:
    """Start in MMPose's scope; forget the loggers, message hubs, etc. of a test."""
    managers = (MessageHub, MMLogger, DefaultScope, Visualizer, PoseLocalVisualizer)
    before = [manager._instance_dict.copy() for manager in managers]
    init_default_scope("mmpose")
    yield
    for manager, instances in zip(managers, before, strict=True):
        manager._instance_dict.clear()
        manager._instance_dict.update(instances)


@pytest.fixture
def compare():
    """Return where the results of two runs differ."""
    return lambda a, b: list(differences(outcome(a), outcome(b)))
