import json
from pathlib import Path

import numpy as np
import pytest

from mmpose_da.datasets import MixedDomainDataset


@pytest.mark.parametrize("type", ["MpiiDataset", "ZeroBasedMpiiDataset"])
def test_training_reads_mpii_from_0(mpii, type):
    """A stock MpiiDataset in a config is read from 0 as well."""
    source = dict(mpii, type=type)
    [dataset] = MixedDomainDataset("MpiiDataset", source=source).datasets
    assert dataset.metainfo["zero_based"]
    written = json.loads(Path(mpii["ann_file"]).read_text())
    for index, person in enumerate(written):
        read = dataset.get_data_info(index)["keypoints"][0]
        np.testing.assert_allclose(read, np.array(person["joints"]) - 1, rtol=1e-6)
