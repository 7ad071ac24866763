"""Fixtures of the tests of mmpose_da.datasets."""

import numpy as np
import pytest

from mmpose_da.datasets import PseudoLabels

JOINTS = ("right_ankle", "left_wrist", "thorax")


@pytest.fixture
def write_pseudo(tmp_path):
    """Write pseudo-labels of the people with some ids; return them and the file."""

    def write(*ids: int, joints=JOINTS, name="pseudo.json") -> tuple[PseudoLabels, str]:
        rng = np.random.default_rng(len(ids))
        labels = PseudoLabels(
            joints,
            ids,
            rng.uniform(15, 65, (len(ids), len(joints), 2)).round(4),
            rng.uniform(0, 1, (len(ids), len(joints))).round(4),
            rng.uniform(0, 1, len(ids)).round(6),
        )
        labels.save(tmp_path / name)
        return labels, str(tmp_path / name)

    return write
