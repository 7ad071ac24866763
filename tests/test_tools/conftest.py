"""Fixtures of the tests of tools/."""

import importlib.util

import pytest


@pytest.fixture
def load_tool(repo, monkeypatch):
    """Load a script of tools/ as a module, as if Python had been started with it."""
    monkeypatch.syspath_prepend(repo / "tools")
    monkeypatch.setenv("LOCAL_RANK", "0")  # the scripts set it; so it is restored

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
