"""Fixtures of the tests of mmpose_da.compat."""

import subprocess
import sys

import pytest


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
