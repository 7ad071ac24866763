import numpy as np
import pytest
import torch
from slow_convolution import conv_module, normalize, randomize
from torch import nn
from torch.autograd import gradcheck

from mmpose_da.models.layers import FeatureAggregationSelection, GroupSelection


def fasm(channels=8, **kwargs) -> FeatureAggregationSelection:
    torch.manual_seed(0)
    return randomize(FeatureAggregationSelection(channels, **kwargs))


def images(*shape, **kwargs):
    return torch.randn(*shape, dtype=torch.float64, **kwargs)


def slow_average(x, stride):
    """The mean of 3x3 pixels, of which those outside are 0."""
    padded = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)))
    rows, columns = (range(0, side, stride) for side in x.shape[2:])
    out = np.zeros((*x.shape[:2], len(rows), len(columns)))
    for i, row in enumerate(rows):
        for j, column in enumerate(columns):
            window = padded[:, :, row : row + 3, column : column + 3]
            out[:, :, i, j] = window.sum((2, 3)) / 9
    return out


def slow_weights(groups, selection):
    """The weights (s, B, C) of groups, a list of (B, C, h, w)."""
    squeeze, select, bias = (
        p.detach().numpy()
        for p in (
            selection.squeeze.weight,
            selection.select.weight,
            selection.select.bias,
        )
    )
    descriptor = sum(groups).mean((2, 3)) @ squeeze.T
    hidden = np.maximum(normalize(descriptor[..., None, None], selection.norm), 0)
    exps = []
    channels = groups[0].shape[1]
    for i in range(len(groups)):
        part = slice(i * channels, (i + 1) * channels)
        exps.append(np.exp(hidden[..., 0, 0] @ select[part].T + bias[part]))
    return [e / sum(exps) for e in exps]


def slow_fasm(x, module, stride, dilation):
    groups = np.split(x, module.num_groups, 1)
    outputs = [groups[0] if stride == 1 else slow_average(groups[0], stride)]
    for conv, group in zip(module.convs, groups[1:], strict=True):
        summed = group + outputs[-1] if stride == 1 else group
        outputs.append(conv_module(summed, conv, stride, dilation))
    if module.selection is not None:
        weights = slow_weights(outputs, module.selection)
        pairs = zip(weights, outputs, strict=True)
        outputs = [weight[..., None, None] * y for weight, y in pairs]
    return np.concatenate(outputs, 1)


@pytest.mark.parametrize("selection", ["softmax", None])
@pytest.mark.parametrize("stride, dilation", [(1, 1), (1, 2), (2, 1)])
@pytest.mark.parametrize("num_groups", [2, 4])
def test_equals_slow_computation(num_groups, stride, dilation, selection):
    kwargs = dict(stride=stride, dilation=dilation, selection=selection)
    module = fasm(num_groups=num_groups, **kwargs)
    x = images(3, 8, 6, 5)
    expected = slow_fasm(x.numpy(), module, stride, dilation)
    np.testing.assert_allclose(module(x).detach(), expected, atol=1e-12)


@pytest.mark.parametrize("stride", [1, 2])
def test_gradient(stride):
    module = fasm(4, num_groups=2, stride=stride)
    names, parameters = zip(*module.named_parameters(), strict=True)

    def call(x, *values):
        return torch.func.functional_call(
            module, dict(zip(names, values, strict=True)), x
        )

    x = images(2, 4, 4, 3, requires_grad=True)
    assert gradcheck(call, (x, *parameters), fast_mode=True)


def test_each_group_sees_a_larger_field():
    torch.manual_seed(0)
    module = FeatureAggregationSelection(4, selection=None).double().eval()
    for conv in module.convs:
        nn.init.ones_(conv.conv.weight)  # positive, so that ReLU hides nothing
    x = torch.rand(1, 4, 11, 11, dtype=torch.float64, requires_grad=True)
    for group in range(4):
        (grad,) = torch.autograd.grad(module(x)[0, group, 5, 5], x)
        seen = torch.zeros(11, 11, dtype=torch.bool)
        seen[5 - group : 6 + group, 5 - group : 6 + group] = True
        assert torch.equal(grad[0].any(0), seen)
        assert grad[0, : group + 1].any() and not grad[0, group + 1 :].any()


def test_selection_starts_uniform_and_learns():
    torch.manual_seed(0)
    module = FeatureAggregationSelection(16)
    x = torch.randn(4, 16, 6, 6)
    plain = FeatureAggregationSelection(16, selection=None)
    missing, unexpected = plain.load_state_dict(module.state_dict(), strict=False)
    assert not missing and all(key.startswith("selection.") for key in unexpected)
    torch.testing.assert_close(module(x), plain(x) / 4)

    target = torch.zeros(4, 16, 6, 6)
    target[:, :4] = x[:, :4]  # the first group alone
    optimizer = torch.optim.Adam(module.selection.parameters(), 0.1)
    for _ in range(30):
        optimizer.zero_grad()
        (module(x) - target).square().mean().backward()
        optimizer.step()
    share = module(x)[:, :4] / x[:, :4]
    assert share.min() > 0.9  # of 0.25 at the start


def test_weights_are_of_each_image_and_channel_and_sum_to_one():
    torch.manual_seed(0)
    selection = randomize(GroupSelection(5, 3)).eval()
    weights = selection(images(2, 3, 5, 4, 4))
    assert weights.shape == (2, 3, 5, 1, 1)
    torch.testing.assert_close(weights.sum(1), torch.ones(2, 5, 1, 1).double())
    assert weights.std(0).min() > 0 and weights.std(2).min() > 0


@pytest.mark.parametrize(
    "channels, reduction, hidden",
    [(4, 16, 4), (64, 16, 32), (64, 1, 64), (640, 16, 40)],
)
def test_width_of_the_descriptor(channels, reduction, hidden):
    selection = GroupSelection(channels, 4, reduction)
    assert selection.squeeze.weight.shape == (hidden, channels)
    assert selection.select.weight.shape == (4 * channels, hidden)


def test_norm_cfg_is_that_of_all_layers():
    module = FeatureAggregationSelection(8, norm_cfg=dict(type="GN", num_groups=1))
    kinds = {type(layer) for layer in module.modules() if hasattr(layer, "eps")}
    assert kinds == {nn.GroupNorm}
    assert module.train()(torch.randn(1, 8, 4, 4)).isfinite().all()


@pytest.mark.parametrize("num_groups", [0, 1, 3])
def test_groups_must_divide_the_channels(num_groups):
    with pytest.raises(ValueError, match=f"num_groups={num_groups} for 8 channels"):
        FeatureAggregationSelection(8, num_groups=num_groups)


def test_unknown_selection():
    with pytest.raises(ValueError, match="selection must be in .*softmax.*'sum'"):
        FeatureAggregationSelection(8, selection="sum")
