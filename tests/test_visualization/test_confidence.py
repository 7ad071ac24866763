import numpy as np
import pytest
from matplotlib.colors import to_rgba

from mmpose_da.visualization import confidence, plot_confidence


@pytest.fixture
def figures(monkeypatch):
    """All figures that are saved."""
    saved = []
    save = confidence.Figure.savefig

    def keep(figure, *args, **kwargs):
        saved.append(figure)
        save(figure, *args, **kwargs)

    monkeypatch.setattr(confidence.Figure, "savefig", keep)
    return saved


def test_distribution_and_medians_are_those_of_the_values(tmp_path, figures):
    rng = np.random.default_rng(0)
    values = dict(before=rng.random((11, 3)), after=rng.random((7, 3)))
    path = tmp_path / "new/confidence.png"
    plot_confidence(values, ["a", "b", "c"], path, threshold=0.4)
    assert path.stat().st_size > 0
    distribution, by_joint = figures[0].axes
    assert [text.get_text() for text in by_joint.get_yticklabels()] == ["a", "b", "c"]
    for line, given in zip(by_joint.lines, values.values(), strict=False):
        medians = [sorted(given[:, k])[len(given) // 2] for k in range(3)]
        np.testing.assert_allclose(line.get_xdata(), medians)
    every = np.concatenate([given.ravel() for given in values.values()])
    colors = {patch.get_edgecolor(): patch for patch in distribution.patches}
    for line, given in zip(by_joint.lines, values.values(), strict=False):
        patch = colors[to_rgba(line.get_color())]
        counts = np.histogram(given, confidence.BINS, (every.min(), every.max()))[0]
        highest = patch.get_xy()[:, 1].max()
        assert highest == pytest.approx(100 * counts.max() / given.size)
    labels = [text.get_text() for text in distribution.get_legend().get_texts()]
    assert labels == ["before", "after", "threshold"]


def test_wrong_confidence(tmp_path):
    for given in ({}, dict(x=np.ones((3, 2))), dict(x=np.ones((0, 3)))):
        with pytest.raises(ValueError, match="confidence must be"):
            plot_confidence(given, ["a", "b", "c"], tmp_path / "x.png")
