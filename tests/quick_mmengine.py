"""What takes most of the time of a small run, and changes no result, is left out."""

from functools import lru_cache
from types import SimpleNamespace

import pytest
from mmengine.config import Config


def make_quick(patch: pytest.MonkeyPatch) -> None:
    """Do not format the text of configs, and collect no garbage for each dataset.

    A file with a joint definition is read once.
    """
    unformatted = "mmengine.config.config.FormatCode"
    patch.setattr(unformatted, lambda text, **kwargs: (text, False))
    no_garbage = SimpleNamespace(collect=lambda: 0)
    patch.setattr("mmengine.dataset.base_dataset.gc", no_garbage)
    read_once = SimpleNamespace(fromfile=lru_cache(Config.fromfile))
    patch.setattr("mmpose.datasets.datasets.utils.Config", read_once)
