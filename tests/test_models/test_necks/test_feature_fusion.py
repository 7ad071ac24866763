import numpy as np
import pytest
import torch
import torch.nn.functional as F
from mmpose.registry import MODELS
from slow_convolution import conv_module, randomize
from torch.autograd import gradcheck

from mmpose_da.models.layers import DUC
from mmpose_da.models.necks import FeatureFusion

CHANNELS = (3, 4, 5, 6)
SIZES = ((8, 6), (4, 3), (2, 2), (1, 1))  # 3 is half of 6, and 2 of 3, rounded up


def neck(**kwargs) -> FeatureFusion:
    torch.manual_seed(0)
    return MODELS.build(
        dict(type="FeatureFusion", in_channels=CHANNELS, channels=4, **kwargs)
    )


def stages(sizes=SIZES, batch=2, **kwargs):
    torch.manual_seed(1)
    return [
        torch.randn(batch, channels, *size, dtype=torch.float64, **kwargs)
        for channels, size in zip(CHANNELS, sizes, strict=True)
    ]


def slow_nearest(x):
    out = np.zeros((*x.shape[:2], 2 * x.shape[2], 2 * x.shape[3]))
    for i in range(out.shape[2]):
        for j in range(out.shape[3]):
            out[:, :, i, j] = x[:, :, i // 2, j // 2]
    return out


def slow_bilinear(x):
    """Pixel i of the output has its center at (i + 0.5) / 2 - 0.5 of the input."""
    for axis in (2, 3):
        size = x.shape[axis]
        rows = []
        for i in range(2 * size):
            place = min(max((i + 0.5) / 2 - 0.5, 0), size - 1)
            low = int(place)
            high = min(low + 1, size - 1)
            share = place - low
            rows.append((1 - share) * x.take(low, axis) + share * x.take(high, axis))
        x = np.stack(rows, axis)
    return x


def slow_fusion(feats, module, upsample):
    projected = [
        conv_module(x.numpy(), m)
        for x, m in zip(feats, module.projections, strict=True)
    ]
    fused = projected[-1]
    for i in (2, 1, 0):
        height, width = projected[i].shape[2:]
        raised = upsample(i, fused)[:, :, :height, :width]
        if module.fusion == "add":
            both = projected[i] + raised
        else:
            both = np.concatenate([projected[i], raised], 1)
        fused = conv_module(both, module.convs[i])
    return fused


@pytest.mark.parametrize("fusion", ["add", "concat"])
@pytest.mark.parametrize("upsampling", ["nearest", "bilinear"])
def test_equals_slow_computation(upsampling, fusion):
    module = randomize(neck(fusion=fusion, upsample_cfg=dict(type=upsampling)))
    slow = dict(nearest=slow_nearest, bilinear=slow_bilinear)[upsampling]
    feats = stages()
    expected = slow_fusion(feats, module, lambda _, x: slow(x))
    [output] = module(feats)
    np.testing.assert_allclose(output.detach(), expected, atol=1e-10)


def test_duc_as_upsampling():
    """With DUC's own output in the place of the slow upsampling."""
    module = randomize(neck(upsample_cfg=dict(type="DUC")))
    assert all(isinstance(layer, DUC) for layer in module.upsamples)

    def upsample(i, x):
        return module.upsamples[i](torch.from_numpy(x)).detach().numpy()

    feats = stages()
    expected = slow_fusion(feats, module, upsample)
    [output] = module(feats)
    np.testing.assert_allclose(output.detach(), expected, atol=1e-10)


@pytest.mark.parametrize("upsampling", ["nearest", "bilinear", "DUC"])
def test_gradient(upsampling):
    torch.manual_seed(0)
    module = FeatureFusion((2, 3), 2, upsample_cfg=dict(type=upsampling))
    randomize(module)
    names, parameters = zip(*module.named_parameters(), strict=True)

    def call(high, low, *values):
        weights = dict(zip(names, values, strict=True))
        return torch.func.functional_call(module, weights, ([high, low],))[0]

    high = torch.randn(2, 2, 4, 2, dtype=torch.float64, requires_grad=True)
    low = torch.randn(2, 3, 2, 1, dtype=torch.float64, requires_grad=True)
    assert gradcheck(call, (high, low, *parameters), fast_mode=True)


def test_output_is_one_map_of_the_highest_resolution_that_sees_every_stage():
    module = neck().double()
    feats = stages(requires_grad=True)
    outputs = module(feats)
    assert isinstance(outputs, tuple) and len(outputs) == 1
    assert outputs[0].shape == (2, 4, 8, 6)
    outputs[0].square().sum().backward()
    assert all(x.grad.any() for x in feats)


def test_duc_starts_as_nearest_neighbor_upsampling():
    module = neck(upsample_cfg=dict(type="DUC"))
    module.init_weights()
    for layer in module.upsamples:
        out = layer(torch.randn(2, 4, 3, 5))
        assert torch.equal(out, F.interpolate(out[..., ::2, ::2], scale_factor=2))


def test_options_of_the_upsampling_layer():
    module = neck(upsample_cfg=dict(type="DUC", equal_subpixels=False))
    assert not any(layer.equal_subpixels for layer in module.upsamples)


def test_wrong_arguments():
    with pytest.raises(ValueError, match="at least two stages.*out_indices"):
        FeatureFusion((8,))
    with pytest.raises(ValueError, match="at least two stages"):
        FeatureFusion(8)
    with pytest.raises(ValueError, match="fusion must be in .*'sum'"):
        neck(fusion="sum")


def test_wrong_stages():
    module = neck().double()
    with pytest.raises(ValueError, match="gives 3 feature maps.*4 entries.*out_ind"):
        module(stages()[:3])
    same = [(8, 6), (4, 3), (2, 2), (2, 2)]
    with pytest.raises(ValueError, match=r"twice the resolution.*\(2, 2\).*\(4, 4\)"):
        module(stages(same))
