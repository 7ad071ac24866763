import pytest

from mmpose_da.visualization import loss_terms, plot_training_curves, training_curves

SOURCE = [
    dict(step=10, lr=0.1, loss=4.0, loss_kpt=4.0, acc_pose=0.1),
    dict(step=20, lr=0.1, loss=2.0, loss_kpt=2.0, acc_pose=0.2),
    {"step": 20, "PCK": 30.0},
]
ADAPTED = [
    {"step": 0, "PCK": 30.0},
    {"step": 10, "loss": 3.0, "source.loss_kpt": 2.5, "entropy.loss": 0.5},
    {"step": 10, "PCK": 35.0},
]


@pytest.fixture
def figures(monkeypatch):
    """All figures that are saved."""
    saved = []
    save = training_curves.Figure.savefig
    monkeypatch.setattr(
        training_curves.Figure,
        "savefig",
        lambda figure, *args, **kwargs: (
            saved.append(figure),
            save(figure, *args, **kwargs),
        ),
    )
    return saved


def curves(axis) -> dict[str, list[tuple[float, float]]]:
    return {
        line.get_label(): [tuple(map(float, xy)) for xy in line.get_xydata()]
        for line in axis.lines
    }


def test_terms_are_drawn_without_their_sum():
    assert loss_terms(SOURCE) == ["loss_kpt"]
    assert loss_terms(ADAPTED) == ["source.loss_kpt", "entropy.loss"]
    assert loss_terms([dict(step=1, loss=1.0)]) == ["loss"]


def test_curves_are_what_was_logged(tmp_path, figures):
    path = tmp_path / "new" / "curves.png"
    runs = {"source model": SOURCE, "adapted": ADAPTED}
    plot_training_curves(runs, "PCK", path)
    assert path.stat().st_size > 0
    source, adapted, metric = figures[0].axes
    assert curves(source) == {"loss_kpt": [(10, 4), (20, 2)]}
    assert curves(adapted) == {
        "source.loss_kpt": [(10, 2.5)],
        "entropy.loss": [(10, 0.5)],
    }
    assert curves(metric) == {
        "source model": [(20, 30)],
        "adapted": [(0, 30), (10, 35)],
    }
    assert metric.get_title() == "PCK"


def test_without_a_metric_there_are_only_losses(tmp_path, figures):
    plot_training_curves(dict(run=SOURCE), None, tmp_path / "x.png")
    (axis,) = figures[0].axes
    assert curves(axis) == {"loss_kpt": [(10, 4), (20, 2)]}


def test_what_is_not_there_gets_a_clear_error(tmp_path):
    with pytest.raises(ValueError, match="metric 'AP'.*'PCK'"):
        plot_training_curves(dict(run=SOURCE), "AP", tmp_path / "x.png")
    with pytest.raises(ValueError, match="'other' has no line with a loss"):
        runs = dict(run=SOURCE, other=[{"step": 1, "PCK": 1.0}])
        plot_training_curves(runs, "PCK", tmp_path / "x.png")
