import numpy as np
import pytest
from tiny_model import domain_batch

from mmpose_da.models.adaptations import ISA


def test_isa_compares_heatmaps_or_features():
    batch = domain_batch(target_labeled=2, target_unlabeled=2)
    h = batch.maps["xy"].detach().double().numpy().reshape(4, 16, -1)

    def cosine(a, b):
        return (a * b).sum() / np.linalg.norm(a) / np.linalg.norm(b)

    expected = np.mean(
        [1 - cosine(h[i, k], h[i + 2, k]) for i in range(2) for k in range(16)]
    )
    assert ISA()(batch)["loss"].item() == pytest.approx(expected, rel=1e-5)
    assert ISA(compare="feature")(batch)["loss"].item() != pytest.approx(expected)


def test_wrong_options():
    with pytest.raises(ValueError, match="pixel"):
        ISA(compare="pixel")
