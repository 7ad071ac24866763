"""Convolutions and what follows them, as loops over pixels in NumPy."""

from __future__ import annotations

import numpy as np
from torch import nn


def convolve(x, weight, stride=1, dilation=1, bias=None):
    """Convolve (B, C, h, w) with (D, C, k, k), with the padding that keeps the size."""
    kernel = weight.shape[-1]
    pad = dilation * (kernel - 1) // 2
    padded = np.pad(x, ((0, 0), (0, 0), (pad, pad), (pad, pad)))
    height, width = (-(-side // stride) for side in x.shape[2:])
    out = np.zeros((len(x), len(weight), height, width))
    for i in range(height):
        for j in range(width):
            for u in range(kernel):
                for v in range(kernel):
                    pixel = padded[
                        :, :, i * stride + u * dilation, j * stride + v * dilation
                    ]
                    out[:, :, i, j] += pixel @ weight[:, :, u, v].T
    return out if bias is None else out + bias[:, None, None]


def normalize(x, layer: nn.BatchNorm2d):
    """Batch normalization with the statistics of the batch."""
    mean, var = x.mean((0, 2, 3)), x.var((0, 2, 3))
    weight, bias = (p.detach().numpy() for p in (layer.weight, layer.bias))
    scale = weight / np.sqrt(var + layer.eps)
    return (x - mean[:, None, None]) * scale[:, None, None] + bias[:, None, None]


def conv_module(x, module, stride=1, dilation=1):
    """An MMCV ``ConvModule``: convolution, batch normalization, and perhaps ReLU."""
    weight = module.conv.weight.detach().numpy()
    out = normalize(convolve(x, weight, stride, dilation), module.norm)
    return np.maximum(out, 0) if module.with_activation else out


def randomize(module: nn.Module) -> nn.Module:
    """Draw all parameters anew, so that none is 0 or 1, in float64."""
    module.double()
    for parameter in module.parameters():
        nn.init.normal_(parameter)
    return module
