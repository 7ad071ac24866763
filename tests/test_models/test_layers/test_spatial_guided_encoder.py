import math

import numpy as np
import pytest
import torch
from torch.autograd import gradcheck
from torch.autograd.graph import saved_tensors_hooks

from mmpose_da.models.layers import (
    GuidedSelfAttention,
    SpatialGuidedEncoder,
    sine_positions,
)

GUIDES = ("bias", "value", None)


def slow_attention(layer, tokens, log_prior):
    """Attention of every head and token in turn."""
    weight, bias = (p.detach().numpy() for p in layer.inputs.parameters())
    out_weight, out_bias = (p.detach().numpy() for p in layer.output.parameters())
    tokens, prior = tokens.detach().numpy(), np.exp(log_prior.numpy())
    batch, count, channels = tokens.shape
    size = channels // layer.num_heads
    out = np.zeros_like(tokens)
    for b in range(batch):
        q, k, v = np.split(tokens[b] @ weight.T + bias, 3, axis=1)
        for head in range(layer.num_heads):
            part = slice(head * size, (head + 1) * size)
            for i in range(count):
                scores = np.array(
                    [q[i, part] @ k[j, part] / math.sqrt(size) for j in range(count)]
                )
                weights = np.exp(scores)
                if layer.guide == "bias":
                    weights = weights * prior[b]
                weights = weights / weights.sum()
                if layer.guide == "value":
                    weights = weights * prior[b]
                out[b, i, part] = sum(weights[j] * v[j, part] for j in range(count))
    return out @ out_weight.T + out_bias


@pytest.fixture
def tokens():
    torch.manual_seed(0)
    return torch.randn(2, 7, 8, dtype=torch.float64), -torch.rand(2, 7).double()


@pytest.mark.parametrize("guide", GUIDES)
def test_attention_equals_slow_computation(guide, tokens):
    layer = GuidedSelfAttention(8, 2, guide).double()
    expected = slow_attention(layer, *tokens)
    np.testing.assert_allclose(layer(*tokens).detach(), expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("guide", GUIDES)
def test_gradient_of_the_attention(guide, tokens):
    x, log_prior = (value[:1, :4] for value in tokens)
    layer = GuidedSelfAttention(8, 2, guide).double()
    assert gradcheck(lambda x: layer(x, log_prior), x.requires_grad_())


@pytest.mark.parametrize("guide", ["bias", "value"])
def test_tokens_without_prior_are_not_attended_to(guide, tokens):
    x, log_prior = tokens
    layer = GuidedSelfAttention(8, 2, guide).double()
    log_prior[:, 3] = -1e4
    changed = x.clone()
    changed[:, 3] += 5
    if guide == "value":  # the key still counts
        layer.inputs.weight.data[8:16] = 0
    others = [i for i in range(7) if i != 3]
    torch.testing.assert_close(
        layer(x, log_prior)[:, others], layer(changed, log_prior)[:, others]
    )


def test_positions_are_relative_to_the_image():
    like = torch.zeros((), dtype=torch.float64)
    fine, coarse = sine_positions((3, 6), 16, like), sine_positions((1, 2), 16, like)
    # The middle of three fine cells is at the center of a coarse one.
    torch.testing.assert_close(fine.view(3, 6, 16)[1, [1, 4]], coarse)
    assert len({tuple(row) for row in fine.tolist()}) == 18
    y, x = fine.view(3, 6, 16).split(8, dim=-1)
    assert (y == y[:, :1]).all() and (x == x[:1]).all()


def encode(encoder, sizes, batch=1, channels=8, joints=3):
    maps = [torch.randn(batch, channels, *size, requires_grad=True) for size in sizes]
    return maps, encoder(maps, torch.randn(batch, joints, *sizes[-1]))


@pytest.mark.parametrize("sizes", [[(8, 6), (4, 3)], [(5, 7), (3, 4)]])
def test_shapes_at_any_size(sizes):
    encoder = SpatialGuidedEncoder(8, 2, num_heads=2)
    maps, found = encode(encoder, sizes)
    assert [m.shape for m in found] == [m.shape for m in maps]


def test_context_is_global_and_across_scales():
    torch.manual_seed(0)
    encoder = SpatialGuidedEncoder(8, 2, num_layers=1, num_heads=2)
    maps, found = encode(encoder, [(6, 4), (3, 2)])
    found[0][0, :, 0, 0].square().sum().backward()
    assert all((m.grad.abs().sum(1) > 0).all() for m in maps)


def test_prior_is_the_highest_part_at_the_place_of_the_token(monkeypatch):
    seen = []
    forward = GuidedSelfAttention.forward

    def keep(self, tokens, log_prior):
        seen.append(log_prior)
        return forward(self, tokens, log_prior)

    monkeypatch.setattr(GuidedSelfAttention, "forward", keep)
    encoder = SpatialGuidedEncoder(8, 2, num_layers=1, num_heads=2)
    cams = torch.randn(1, 3, 4, 2)
    encoder([torch.randn(1, 8, 8, 4), torch.randn(1, 8, 4, 2)], cams)
    highest = cams.amax(1)
    expected = highest.sigmoid().log().flatten(1)
    torch.testing.assert_close(seen[0][:, 32:], expected)
    # The corner of the fine grid is nearest to that of the coarse one.
    torch.testing.assert_close(seen[0][:, 0], expected[:, 0])


@pytest.mark.parametrize("guide", GUIDES)
def test_memory_is_linear_in_the_tokens(guide):
    """Nothing of the size of all pairs of tokens is kept for the backward pass."""
    sizes = [(32, 24), (16, 12), (8, 6)]
    count = sum(h * w for h, w in sizes)
    encoder = SpatialGuidedEncoder(16, 3, num_layers=1, num_heads=8, guide=guide)
    kept = []

    def keep(tensor):
        kept.append(tensor.untyped_storage().nbytes() // tensor.element_size())
        return tensor

    with saved_tensors_hooks(keep, lambda tensor: tensor):
        _, found = encode(encoder, sizes, channels=16)
        sum(m.square().sum() for m in found).backward()
    assert max(kept) < count**2 / 4
    assert max(kept) <= count * 64  # all heads' queries, keys, and values


@pytest.mark.slow
def test_tokens_of_three_scales_of_a_crop_fit():
    """64 x 48, 32 x 24, and 16 x 12 cells: 4032 tokens, 8 heads, in 300 MiB."""
    encoder = SpatialGuidedEncoder(64, 3, num_layers=1, num_heads=8)
    kept = []

    def keep(tensor):
        kept.append(tensor)
        return tensor

    with saved_tensors_hooks(keep, lambda tensor: tensor):
        _, found = encode(encoder, [(64, 48), (32, 24), (16, 12)], channels=64)
    storages = {t.untyped_storage().data_ptr(): t.untyped_storage() for t in kept}
    assert sum(s.nbytes() for s in storages.values()) < 300 * 2**20  # pairs: 520 MB
    found[0].sum().backward()


def test_half_precision():
    encoder = SpatialGuidedEncoder(8, 2, num_heads=2)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        maps, found = encode(encoder, [(4, 4), (2, 2)])
        loss = sum(m.float().square().sum() for m in found)
    loss.backward()
    assert all(torch.isfinite(m.grad).all() for m in maps)


def test_errors():
    with pytest.raises(ValueError, match="encoder.guide must be"):
        SpatialGuidedEncoder(8, 1, num_heads=2, guide="mask")
    with pytest.raises(ValueError, match="not a multiple of num_heads=3"):
        SpatialGuidedEncoder(8, 1, num_heads=3)
    with pytest.raises(ValueError, match="channels must be a multiple of 4"):
        sine_positions((2, 2), 6, torch.zeros(()))
