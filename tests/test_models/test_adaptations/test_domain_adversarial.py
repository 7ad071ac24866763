import pytest
import torch
from mmengine.logging import MessageHub
from tiny_model import domain_batch

from mmpose_da.models.adaptations import DomainAdversarial


@pytest.mark.parametrize("weight", [1.0, 3.0])
def test_dann_reverses_the_gradient_of_the_features_alone(weight):
    MessageHub.get_current_instance().update_info("iter", 5)
    adversarial = DomainAdversarial(
        dict(type="GlobalDomainDiscriminator"),
        in_channels=8,
        reversal=0.5,
        weight=weight,
        rampup=dict(end=10),
    )
    batch = domain_batch(source=3, target_unlabeled=3)
    terms = adversarial(batch)
    terms["loss"].backward()
    reversed_grad = batch.features["head"].grad.clone()
    own_grad = adversarial.discriminator.layers[0].weight.grad.clone()

    adversarial.zero_grad()
    features = batch.features["head"].detach().requires_grad_()
    logits = adversarial.discriminator(features)
    loss = adversarial.loss_module(logits[:3], logits[3:])
    loss.backward()
    torch.testing.assert_close(terms["loss"], weight * loss)  # without the ramp
    torch.testing.assert_close(reversed_grad, -0.25 * weight * features.grad)
    torch.testing.assert_close(
        own_grad, weight * adversarial.discriminator.layers[0].weight.grad
    )
    correct = torch.cat([logits[:3] > 0, logits[3:] <= 0]).double().mean()
    assert terms["accuracy"] == correct
