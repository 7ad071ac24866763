import numpy as np
import pytest
import torch
from mmpose.registry import MODELS
from torch.autograd import gradcheck

from mmpose_da.models.necks import CAFANeck
from mmpose_da.models.necks.cafa_neck import _attend


def build(in_channels=4, strength=(0.7, -0.4), **kwargs):
    torch.manual_seed(0)
    neck = MODELS.build({"type": "CAFANeck", "in_channels": in_channels, **kwargs})
    neck.double()
    with torch.no_grad():
        neck.source_strength.fill_(strength[0])
        neck.target_strength.fill_(strength[1])
    return neck


def maps(n, m, channels=4, size=(3, 2)):
    generator = torch.Generator().manual_seed(1)
    return tuple(
        torch.randn(b, channels, *size, generator=generator).double().requires_grad_()
        for b in (n, m)
    )


def project(conv, image):
    """(C, h, w) to a list of vectors, one for every position."""
    weight = conv.weight[:, :, 0, 0].detach().numpy()
    bias = conv.bias.detach().numpy()
    return [weight @ v + bias for v in image.reshape(len(image), -1).T]


def slow_pair(neck, source, target):
    """Both directions of one pair of images, from the full correlation map."""
    queries, keys = project(neck.query, source), project(neck.key, target)
    v_source, v_target = project(neck.value, source), project(neck.value, target)
    correlation = np.zeros((len(queries), len(keys)))
    for i, q in enumerate(queries):
        for j, k in enumerate(keys):
            correlation[i, j] = neck.scale * (q @ k)
    e = np.exp(correlation)
    out_source, out_target = source.copy(), target.copy()
    flat_source = out_source.reshape(len(source), -1)
    flat_target = out_target.reshape(len(target), -1)
    for i in range(len(queries)):
        for j in range(len(keys)):
            rows, columns = e[i, j] / e[i].sum(), e[i, j] / e[:, j].sum()
            flat_source[:, i] += neck.source_strength.item() * rows * v_target[j]
            flat_target[:, j] += neck.target_strength.item() * columns * v_source[i]
    return out_source, out_target


# With 4 and 2, and with 5 and 3, a cycle in reverse makes other pairs.
@pytest.mark.parametrize("n, m", [(2, 2), (1, 3), (5, 2), (4, 2), (2, 4), (3, 5)])
@pytest.mark.parametrize("key_channels, scale", [(None, 1.0), (2, 0.3), (7, 1.0)])
def test_equals_slow_computation(n, m, key_channels, scale):
    neck = build(key_channels=key_channels, scale=scale)
    source, target = maps(n, m)
    out_source, out_target = neck(source, target)
    s, t = source.detach().numpy(), target.detach().numpy()
    for i in range(n):
        expected = slow_pair(neck, s[i], t[i % m])[0]
        np.testing.assert_allclose(out_source[i].detach(), expected, atol=1e-12)
    for j in range(m):
        expected = slow_pair(neck, s[j % n], t[j])[1]
        np.testing.assert_allclose(out_target[j].detach(), expected, atol=1e-12)


def test_sizes_may_differ():
    neck = build()
    (source, _), (_, target) = maps(2, 2, size=(3, 2)), maps(2, 2, size=(4, 5))
    out_source, out_target = neck(source, target)
    expected = slow_pair(neck, source[1].detach().numpy(), target[1].detach().numpy())
    np.testing.assert_allclose(out_source[1].detach(), expected[0], atol=1e-12)
    np.testing.assert_allclose(out_target[1].detach(), expected[1], atol=1e-12)


@pytest.mark.parametrize("n, m", [(2, 2), (3, 2)])
def test_attention_is_that_of_the_exchange(n, m):
    neck = build(scale=0.3)
    (source, _), (_, target) = maps(n, m), maps(n, m, size=(4, 5))
    weights = neck.attention(source, target).detach().numpy()
    assert weights.shape == (n, 3, 2, 4, 5)
    s, t = source.detach().numpy(), target.detach().numpy()
    for i in range(n):
        keys = project(neck.key, t[i % m])
        for position, query in enumerate(project(neck.query, s[i])):
            e = [np.exp(0.3 * sum(query * key)) for key in keys]
            found = weights[i, position // 2, position % 2].ravel()
            np.testing.assert_allclose(found, np.array(e) / sum(e), atol=1e-12)
    partner = torch.arange(n) % m
    moved = torch.einsum(
        "nhwij,ncij->nchw", torch.from_numpy(weights), neck.value(target)[partner]
    )
    torch.testing.assert_close(neck(source, target)[0], source + 0.7 * moved)


@pytest.mark.parametrize("key_channels", [2, 5])
def test_gradient(key_channels):
    neck = build(key_channels=key_channels, in_channels=3)
    inputs = maps(2, 1, channels=3, size=(2, 2))
    names, parameters = zip(*neck.named_parameters(), strict=True)

    def call(source, target, *values):
        parameters = dict(zip(names, values, strict=True))
        return torch.func.functional_call(neck, parameters, (source, target))

    assert gradcheck(call, (*inputs, *parameters))


def test_identity_at_init_with_a_gradient_for_the_strengths():
    neck = CAFANeck(4).double()
    source, target = maps(2, 3)
    out_source, out_target = neck(source, target)
    assert torch.equal(out_source, source) and torch.equal(out_target, target)
    (out_source.sum() + out_target.square().sum()).backward()
    assert neck.source_strength.grad.all() and neck.target_strength.grad.all()


@pytest.mark.parametrize("n, m", [(0, 3), (3, 0), (0, 0)])
def test_empty_side_leaves_both_unchanged(n, m):
    source, target = maps(n, m)
    neck = build()
    out_source, out_target = neck(source, target)
    assert torch.equal(out_source, source) and torch.equal(out_target, target)
    (out_source.sum() + out_target.sum()).backward()
    assert all((parameter.grad == 0).all() for parameter in neck.parameters())


def test_default_width_of_the_keys():
    widths = {c: CAFANeck(c).query.out_channels for c in (8, 64, 256, 512)}
    assert widths == {8: 8, 64: 32, 256: 32, 512: 64}


def test_autocast_keeps_the_type_of_the_features():
    neck = build().float()
    source, target = (x.detach().float() for x in maps(2, 2))
    expected = neck(source, target)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        result = neck(source, target)
    for x, y in zip(result, expected, strict=True):
        assert x.dtype == torch.float32
        torch.testing.assert_close(x, y, atol=0.1, rtol=0)


@pytest.mark.parametrize("key_channels", [8, 16, 32])
def test_the_fused_kernel_takes_it(key_channels):
    attention = pytest.importorskip("torch.nn.attention")  # torch 2.3 and later
    queries, keys = (torch.randn(1, key_channels, 6, 4, requires_grad=True),) * 2
    values = torch.randn(1, 16, 6, 4, requires_grad=True)
    flash = attention.SDPBackend.FLASH_ATTENTION
    # It raises where only the computation with the full map is possible.
    with attention.sdpa_kernel(flash):
        out = _attend(queries, keys, values, 1.0)
    assert "FlashAttention" in kernel_of(out)
    out.sum().backward()
    assert values.grad.any()


def kernel_of(out):
    """Names of the backward functions behind ``out``."""
    names, todo = [], [out.grad_fn]
    while todo:
        function = todo.pop()
        if function is not None:
            names.append(type(function).__name__)
            todo += [f for f, _ in function.next_functions]
    return " ".join(names)


def test_no_map_of_all_pairs_of_positions():
    neck = CAFANeck(32)
    source, target = (torch.randn(1, 32, 32, 24, requires_grad=True) for _ in "st")
    saved = []
    with torch.autograd.graph.saved_tensors_hooks(
        lambda x: saved.append(x.numel()) or x, lambda x: x
    ):
        out = neck(source, target)
    (out[0].sum() + out[1].sum()).backward()
    positions = 32 * 24
    assert max(saved) <= positions * 32 < positions**2


def test_wrong_arguments():
    with pytest.raises(ValueError, match="key_channels.*0"):
        CAFANeck(4, key_channels=0)
    with pytest.raises(ValueError, match="scale.*0"):
        CAFANeck(4, scale=0)
    with pytest.raises(ValueError, match=r"target.*4.*\(1, 5, 2, 2\)"):
        CAFANeck(4)(torch.zeros(1, 4, 2, 2), torch.zeros(1, 5, 2, 2))
