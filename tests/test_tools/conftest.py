"""Fixtures of the tests of the converters."""

import sys

import pytest
from mmengine.config import Config


@pytest.fixture
def convert(load_tool, monkeypatch, repo, capsys):
    """Run a converter; gives what it printed, or its error."""
    monkeypatch.syspath_prepend(repo / "tools/dataset_converters")

    def run(name, *arguments):
        monkeypatch.setattr(sys, "argv", [f"{name}.py"])
        tool = load_tool(f"dataset_converters/{name}")
        try:
            tool.main([str(argument) for argument in arguments])
        except SystemExit as stop:
            assert stop.code == 1
            return capsys.readouterr().err
        return capsys.readouterr().out

    return run


@pytest.fixture
def pair(monkeypatch, repo, tmp_path):
    """A pair file that looks for its sets in the temporary folder."""
    monkeypatch.setenv("MMPOSE_DA_DATA", str(tmp_path))

    def load(name):
        return Config.fromfile(repo / f"configs/_base_/domains/{name}.py")

    return load
