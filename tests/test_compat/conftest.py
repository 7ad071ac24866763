"""Fixtures of the tests of mmpose_da.compat."""

import subprocess
import sys

import pytest
import torch

from mmpose_da.compat import weights_unpickler
from mmpose_da.compat.checkpoint import _declares_by_name, safe_globals


@pytest.fixture
def run_python(repo):
    """Run code in a new Python process at the root of the project."""

    def run(code: str) -> subprocess.CompletedProcess:
        return subprocess.run(
            [sys.executable, "-W", "ignore", "-c", code],
            cwd=repo,
            capture_output=True,
            text=True,
            timeout=300,
        )

    return run


@pytest.fixture(params=["torch", "own"] if _declares_by_name() else ["own"])
def unpickler(request, monkeypatch):
    """Load with PyTorch's weights-only unpickler, and with that for older PyTorch."""
    if request.param == "own" and _declares_by_name():
        for name in ("_weights_only_unpickler", "_is_torchscript_zip"):
            original = getattr(torch.serialization, name)
            monkeypatch.setattr(torch.serialization, name, original)  # put back later
        weights_unpickler.install(safe_globals())
    return request.param
