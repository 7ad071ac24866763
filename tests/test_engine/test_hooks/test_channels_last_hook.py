import copy
from types import SimpleNamespace

import torch
from tiny_model import batch, build

from mmpose_da.engine import ChannelsLastHook


def losses_and_gradients(model):
    """Of one batch, which is the same in every call."""
    torch.manual_seed(0)
    images, samples = batch(source=4, target_unlabeled=4)
    losses = model.loss(images, samples)
    sum(value for key, value in losses.items() if "loss" in key).backward()
    return losses, {n: p.grad for n, p in model.named_parameters()}


def test_only_the_format_changes():
    model = build()
    changed = copy.deepcopy(model)
    ChannelsLastHook().before_run(SimpleNamespace(model=changed))

    losses, gradients = losses_and_gradients(model)
    new_losses, new_gradients = losses_and_gradients(changed)

    kernels = [p for p in changed.parameters() if p.dim() == 4]
    assert kernels
    assert all(p.is_contiguous(memory_format=torch.channels_last) for p in kernels)
    torch.testing.assert_close(new_losses, losses, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(new_gradients, gradients, rtol=1e-3, atol=1e-4)


def test_loaded_weights_and_copies_keep_the_format():
    model = build()
    ChannelsLastHook().before_run(SimpleNamespace(model=model))

    model.load_state_dict(build().state_dict())
    weight = copy.deepcopy(model).backbone.layer1[0].conv1.weight

    assert not weight.is_contiguous()
    assert weight.is_contiguous(memory_format=torch.channels_last)
