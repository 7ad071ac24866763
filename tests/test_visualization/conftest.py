"""Fixtures of the tests of mmpose_da.visualization."""

import pytest
from mmpose.registry import DATASETS
from tiny_domains import VAL_PIPELINE


@pytest.fixture
def people(mpii):
    """The people of the small target, for prediction; pixels count from 0."""
    config = dict(mpii, type="ZeroBasedMpiiDataset", test_mode=True)
    return DATASETS.build(dict(config, pipeline=VAL_PIPELINE))
