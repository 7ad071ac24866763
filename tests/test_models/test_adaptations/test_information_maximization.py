import pytest
import torch
from mmpose.registry import MODELS
from tiny_model import batch as tiny_batch
from tiny_model import build, domain_batch

from mmpose_da.models.adaptations import InformationMaximization
from mmpose_da.models.losses import InfoMaxLoss


def test_acts_on_unlabeled_target_images_alone():
    batch = domain_batch(source=2, target_labeled=1, target_unlabeled=3)
    terms = InformationMaximization()(batch)
    expected = InfoMaxLoss()(batch.maps["xy"][3:])
    torch.testing.assert_close(terms, expected)
    terms["loss"].backward()
    has_gradient = batch.maps["xy"].grad.flatten(1).any(1)
    assert has_gradient.tolist() == [False, False, False, True, True, True]


def test_the_weight_is_that_of_the_loss_and_not_of_its_parts():
    batch = domain_batch(target_unlabeled=3)
    loss = dict(type="InfoMaxLoss", temperature=0.1, diversity_weight=0.5)
    cfg = dict(type="InformationMaximization", weight=0.2, loss=loss)
    terms = MODELS.build(cfg)(batch)
    expected = InfoMaxLoss(0.1, 0.5)(batch.maps["xy"])
    torch.testing.assert_close(terms["loss"], 0.2 * expected["loss"])
    for part in ("entropy", "diversity"):
        assert terms[part] == expected[part]
    loss = 0.2 * (terms["entropy"] - 0.5 * terms["diversity"])
    torch.testing.assert_close(terms["loss"].detach(), loss)


def test_needs_unlabeled_target_images():
    batch = domain_batch(source=2, target_labeled=1)
    with pytest.raises(ValueError, match="InformationMaximization needs"):
        InformationMaximization().check(batch)


def test_in_an_estimator():
    model = build(adaptations=dict(im=dict(type="InformationMaximization")))
    losses = model.loss(*tiny_batch(source=2, target_unlabeled=2))
    assert {"im.loss", "im.entropy", "im.diversity"} <= set(losses)
    total, logged = model.parse_losses(losses)
    parts = logged["source.loss_kpt"] + logged["im.loss"]
    torch.testing.assert_close(total, parts)  # the parts are logged, and not added
    total.backward()
    assert model.head.final_layer.weight.grad.isfinite().all()
