import numpy as np
import pytest
import torch
import torch.nn.functional as F
from mmengine.model import BaseModule, Sequential
from mmpose.registry import MODELS
from slow_convolution import convolve, normalize, randomize
from torch import nn
from torch.autograd import gradcheck

from mmpose_da.models.layers import DUC

NORMAL = dict(type="Normal", layer="Conv2d", std=0.001)


def slow_duc(x, module):
    factor = module.scale_factor
    wide = np.maximum(
        normalize(convolve(x, module.conv.weight.detach().numpy()), module.norm), 0
    )
    batch, channels, height, width = wide.shape
    out = np.zeros((batch, channels // factor**2, factor * height, factor * width))
    for channel in range(out.shape[1]):
        for i in range(out.shape[2]):
            for j in range(out.shape[3]):
                place = (i % factor) * factor + j % factor
                source = wide[:, channel * factor**2 + place, i // factor, j // factor]
                out[:, channel, i, j] = source
    return out


@pytest.mark.parametrize("factor", [2, 3])
def test_equals_slow_computation(factor):
    torch.manual_seed(0)
    module = randomize(DUC(3, 2, factor))
    x = torch.randn(2, 3, 4, 5, dtype=torch.float64)
    expected = slow_duc(x.numpy(), module)
    np.testing.assert_allclose(module(x).detach(), expected, atol=1e-12)


def test_gradient():
    torch.manual_seed(0)
    module = randomize(DUC(2, 2))
    names, parameters = zip(*module.named_parameters(), strict=True)

    def call(x, *values):
        return torch.func.functional_call(
            module, dict(zip(names, values, strict=True)), x
        )

    x = torch.randn(2, 2, 3, 2, dtype=torch.float64, requires_grad=True)
    assert gradcheck(call, (x, *parameters))


def nearest_of_convolution(x, module):
    """Upsample the first sub-pixel alone: convolution, normalization, ReLU."""
    conv, norm = module.conv, module.norm
    copies = module.scale_factor**2
    small = F.conv2d(x, conv.weight[::copies], padding=1)
    small = F.batch_norm(
        small,
        None if norm.training else norm.running_mean[::copies].clone(),
        None if norm.training else norm.running_var[::copies].clone(),
        norm.weight[::copies],
        norm.bias[::copies],
        training=norm.training,
        eps=norm.eps,
    ).relu()
    return F.interpolate(small, scale_factor=module.scale_factor, mode="nearest")


@pytest.mark.parametrize("out_channels", [1, 5, 16])
@pytest.mark.parametrize("factor", [2, 3, 4])
def test_starts_as_nearest_neighbor_upsampling_exactly(factor, out_channels):
    torch.manual_seed(0)
    module = DUC(7, out_channels, factor)
    module.init_weights()
    x = torch.randn(3, 7, 6, 5)
    for mode in (True, False):  # the second time with running statistics of the first
        module.train(mode)
        out = module(x)
        corner = out[..., ::factor, ::factor]
        repeated = F.interpolate(corner, scale_factor=factor, mode="nearest")
        assert torch.equal(out, repeated)
        torch.testing.assert_close(out, nearest_of_convolution(x, module))
        assert out.std() > 0.1


def is_equal(module: DUC) -> bool:
    weight = module.conv.weight
    copies = module.scale_factor**2
    return torch.equal(weight, weight[::copies].repeat_interleave(copies, 0))


@pytest.mark.parametrize("own", [True, False])
def test_follows_the_initialization_of_the_config(own):
    torch.manual_seed(0)
    module = DUC(7, 5, init_cfg=NORMAL if own else None)
    parent = Sequential(module, init_cfg=None if own else NORMAL)
    before = module.conv.weight.detach().clone()
    parent.init_weights()
    after = module.conv.weight.detach()
    assert before.std() > 0.05 and after.std() < 0.002
    assert is_equal(module)


def test_training_is_not_undone():
    module = DUC(3, 2)
    module.init_weights()
    randomize(module)
    before = module.conv.weight.detach().clone()
    module.init_weights()  # MMEngine's log warns about the second call
    assert torch.equal(module.conv.weight, before)


def test_subpixels_learn_to_differ():
    torch.manual_seed(0)
    module = DUC(3, 1)
    x, target = torch.randn(4, 3, 4, 4), torch.randn(4, 1, 8, 8).abs()
    optimizer = torch.optim.SGD(module.parameters(), 0.1)
    (module(x) - target).square().mean().backward()
    optimizer.step()
    assert not is_equal(module)


def test_independent_start():
    module = DUC(3, 2, equal_subpixels=False)
    module.init_weights()
    assert not is_equal(module)


def test_is_an_upsampling_layer_of_the_registry():
    module = MODELS.build(dict(type="DUC", in_channels=4, out_channels=2))
    assert isinstance(module, BaseModule)
    assert module(torch.randn(2, 4, 3, 5)).shape == (2, 2, 6, 10)
    kinds = [type(layer) for layer in module.children()]
    assert kinds == [nn.Conv2d, nn.BatchNorm2d, nn.ReLU, nn.PixelShuffle]


def test_wrong_factor():
    with pytest.raises(ValueError, match="scale_factor must be at least 2, got 1"):
        DUC(3, 2, 1)
