"""Fixtures of the tests of tools/."""

import pytest


@pytest.fixture
def write_config(tmp_path):
    """Write a config file, and return its path."""

    def write(text: str, name: str = "toy.py") -> str:
        path = tmp_path / name
        path.write_text(text, encoding="utf-8")
        return str(path)

    return write
