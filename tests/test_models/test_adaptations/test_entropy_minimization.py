import torch
from tiny_model import domain_batch

from mmpose_da.models.adaptations import EntropyMinimization
from mmpose_da.models.losses import EntropyLoss


def test_acts_on_unlabeled_target_images_alone():
    batch = domain_batch(source=2, target_labeled=1, target_unlabeled=3)
    loss = EntropyMinimization()(batch)["loss"]
    torch.testing.assert_close(loss, EntropyLoss()(batch.maps["xy"][3:]))
    loss.backward()
    has_gradient = batch.maps["xy"].grad.flatten(1).any(1)
    assert has_gradient.tolist() == [False, False, False, True, True, True]
