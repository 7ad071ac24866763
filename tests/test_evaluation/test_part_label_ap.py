import numpy as np
import pytest
import torch
from mmengine.logging import MMLogger
from mmpose.registry import METRICS

from mmpose_da.evaluation.part_label_ap import average_precision


def slow_average_precision(scores, positive):
    """The mean over the positives of the precision among all at least as sure."""
    values = []
    for score, is_positive in zip(scores, positive, strict=True):
        if is_positive:
            chosen = [p for s, p in zip(scores, positive, strict=True) if s >= score]
            values.append(np.mean(chosen))
    return np.mean(values)


@pytest.mark.parametrize("levels", [3, 1000])
def test_equals_slow_computation(levels):
    """With few levels, most scores are tied."""
    rng = np.random.default_rng(0)
    for _ in range(20):
        scores = rng.integers(0, levels, 30) / levels
        positive = rng.random(30) < 0.4
        positive[0] = True
        found = average_precision(scores, positive)
        assert found == pytest.approx(slow_average_precision(scores, positive))


def test_perfect_and_constant_scores():
    positive = np.array([True, False, True, False, False])
    assert average_precision(positive.astype(float), positive) == 1
    assert average_precision(np.zeros(5), positive) == pytest.approx(0.4)


def sample(scores, labels=None, weights=None):
    instances = dict(keypoint_scores=np.array([scores]))
    made = dict(pred_instances=instances, gt_instances=dict())
    if labels is not None:
        weights = np.ones(len(labels)) if weights is None else weights
        made["gt_instance_labels"] = dict(
            part_labels=torch.tensor([labels]).float(),
            part_weights=torch.as_tensor(np.array([weights])).float(),
        )
    return made


@pytest.fixture
def metric():
    metric = METRICS.build(dict(type="PartLabelAP"))
    metric.dataset_meta = {}
    return metric


def test_mean_over_joints_that_vary(metric):
    """The third joint is always shown, the fourth is never known."""
    samples = [
        sample([0.9, 0.2, 0.1, 0.5], [1, 1, 1, 1], [1, 1, 1, 0]),
        sample([0.1, 0.8, 0.1, 0.5], [0, 0, 1, 0], [1, 1, 1, 0]),
        sample([0.5, 0.5, 0.5, 0.5]),  # without part labels
    ]
    metric.process(None, samples)
    found = metric.evaluate(3)
    assert found == {"part mAP": pytest.approx(75), "part joints": 2}


def test_unknown_labels_do_not_count(metric):
    known = sample([0.9, 0.2], [1, 1]), sample([0.1, 0.1], [0, 0])
    metric.process(None, [*known, sample([0.99, 0.99], [0, 0], [0, 0])])
    assert metric.evaluate(3)["part mAP"] == 100


def test_labels_that_do_not_vary_are_a_warning(metric, tmp_path):
    log = tmp_path / "log"
    MMLogger.get_instance("part_labels", log_file=str(log))
    metric.process(None, [sample([0.9, 0.2], [1, 0])])
    assert metric.evaluate(1) == {}
    assert "use WholeAndPartCrops" in log.read_text()


def test_marked_parts_are_ranked_one_by_one(metric):
    """Two images with two parts are the same as four images."""
    scores = np.array([[0.9, 0.4], [0.6, 0.3], [0.2, 0.6], [0.7, 0.5]])
    labels = np.array([[1, 0], [0, 1], [0, 1], [1, 1]])
    metric.process(
        None, [sample(s, list(y)) for s, y in zip(scores, labels, strict=True)]
    )
    expected = metric.compute_metrics(metric.results)
    metric.results.clear()
    marked = []
    for part in (slice(0, 2), slice(2, 4)):
        made = sample(scores[0], [0, 0])
        made["pred_instances"]["part_scores"] = torch.tensor(scores[part])[None]
        made["gt_instance_labels"] = dict(
            part_labels=torch.tensor(labels[part]).float(),
            part_weights=torch.ones(2, 2),
            part_regions=torch.zeros(2, 2, 3),
        )
        marked.append(made)
    metric.process(None, marked)
    assert metric.compute_metrics(metric.results) == expected
    del marked[0]["pred_instances"]["part_scores"]
    with pytest.raises(ValueError, match="does not classify parts of an image"):
        metric.process(None, marked[:1])
