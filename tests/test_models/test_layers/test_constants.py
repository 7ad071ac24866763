import pytest
import torch
from torch import nn

from mmpose_da.models.layers import constant_call, constant_running_statistics


def make():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(2, 3, 3), nn.BatchNorm2d(3), nn.ReLU()).double()


def images():
    return torch.randn(4, 2, 6, 6, dtype=torch.float64, requires_grad=True)


def test_constant_call_passes_gradients_to_the_inputs_alone():
    module, x = make(), images()
    before = {k: v.clone() for k, v in module.state_dict().items()}
    out = constant_call(module, x)
    out.square().sum().backward()
    found = x.grad.clone()
    assert all(parameter.grad is None for parameter in module.parameters())
    for name, value in module.state_dict().items():
        assert torch.equal(value, before[name]), name
    x.grad = None
    plain = module(x)
    plain.square().sum().backward()
    assert torch.equal(out, plain) and torch.equal(found, x.grad)
    assert not torch.equal(module[1].running_mean, before["1.running_mean"])


def test_running_statistics_stay_and_the_output_is_that_of_the_batch():
    module, x = make(), images()
    running = module[1].running_mean.clone(), module[1].running_var.clone()
    with pytest.raises(RuntimeError), constant_running_statistics(module):
        out = module(x)
        raise RuntimeError
    assert torch.equal(module[1].running_mean, running[0])
    assert torch.equal(module[1].running_var, running[1])
    assert module[1].momentum == 0.1
    assert torch.equal(module(x), out)
    assert not torch.equal(module[1].running_mean, running[0])
