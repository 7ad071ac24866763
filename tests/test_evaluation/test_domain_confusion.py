import numpy as np
import pytest
import torch
from sklearn.linear_model import RidgeClassifier

from mmpose_da.evaluation import domain_confusion
from mmpose_da.evaluation.domain_confusion import RIDGE


def apart(distance, counts=(400, 400), channels=8, seed=0):
    """Features of two domains, their means ``distance`` standard deviations apart."""
    generator = torch.Generator().manual_seed(seed)
    first, second = (torch.randn(n, channels, generator=generator) for n in counts)
    return first, second + distance / channels**0.5


def test_equal_domains_are_confused_and_distant_ones_are_not():
    assert domain_confusion(*apart(0)) > 0.9
    assert domain_confusion(*apart(20)) == 0


@pytest.mark.parametrize("distance", [1.0, 2.0, 3.0])
def test_error_is_that_of_the_best_linear_classifier(distance):
    """Normal domains: the error is the tail beyond half of the distance."""
    tail = 0.5 * torch.erfc(torch.tensor(distance / 2 / 2**0.5))
    found = domain_confusion(*apart(distance, (5000, 5000)))
    assert found == pytest.approx(2 * float(tail), abs=0.03)


def test_equals_the_classifier_of_scikit_learn():
    first, second = (x * torch.tensor([0.1, 1, 5, 20]) for x in apart(1.5, channels=4))
    errors = []
    for fold in (0, 1):
        mean = (first[fold::2].mean(0) + second[fold::2].mean(0)) / 2
        parts = [(x - mean).double().numpy() for x in (first, second)]
        fitted = np.concatenate([x[fold::2] for x in parts])
        labels = np.repeat([1, -1], [len(x[fold::2]) for x in parts])
        # Both means have the same distance to 0, so there is no intercept. The sums
        # here are over 200 samples of each domain, and the means there over both.
        scale = np.sqrt(sum((x[fold::2] ** 2).mean(0) for x in parts))
        model = RidgeClassifier(alpha=RIDGE * 200, fit_intercept=False)
        model.fit(fitted / scale, labels)
        rest = [model.predict(x[1 - fold :: 2] / scale) for x in parts]
        errors += [(rest[0] != 1).mean(), (rest[1] != -1).mean()]
    assert domain_confusion(first, second) == pytest.approx(2 * np.mean(errors))
    assert 0 < np.mean(errors) < 0.5


def test_domains_count_equally():
    few, many = apart(2, (100, 4000))
    assert domain_confusion(few, many) == pytest.approx(0.317, abs=0.1)


def test_does_not_depend_on_the_scale_or_a_channel_that_is_constant():
    first, second = apart(1)
    expected = domain_confusion(first, second)
    assert domain_confusion(1000 * first, 1000 * second) == pytest.approx(expected)
    constant = [
        torch.cat([x, torch.full((len(x), 1), 3.0)], 1) for x in (first, second)
    ]
    assert domain_confusion(*constant) == pytest.approx(expected)


def test_more_channels_than_samples_do_not_pretend_a_distance():
    assert domain_confusion(*apart(0, (60, 60), channels=500)) > 0.75


def test_too_few_samples():
    with pytest.raises(ValueError, match="but there are 1 and 9"):
        domain_confusion(torch.ones(1, 3), torch.ones(9, 3))
