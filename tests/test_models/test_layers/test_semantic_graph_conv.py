import numpy as np
import pytest
import torch
from torch.autograd import gradcheck

from mmpose_da.models.layers import (
    SemanticGraphBlock,
    SemanticGraphConv,
    SemanticGraphUnit,
    skeleton_adjacency,
)

LINKS = [(0, 1), (1, 2), (3, 1)]


def test_adjacency():
    expected = np.eye(5, dtype=bool)
    for i, j in LINKS:
        expected[i, j] = expected[j, i] = True
    adjacency = skeleton_adjacency(5, LINKS)
    assert adjacency.dtype == torch.bool
    np.testing.assert_array_equal(adjacency, expected)


@pytest.mark.parametrize("link", [(0, 5), (-1, 2), (1, 2, 3)])
def test_adjacency_refuses_wrong_links(link):
    with pytest.raises(ValueError, match="skeleton_links.*5"):
        skeleton_adjacency(5, [*LINKS, link])


def slow_conv(conv, x, adjacency):
    weight, edges, bias = (
        p.detach().numpy() for p in (conv.linear.weight, conv.edges, conv.bias)
    )
    x = x.detach().numpy()
    joints, channels = len(adjacency), len(weight)
    out = np.zeros((len(x), joints, channels))
    for b in range(len(x)):
        for d in range(channels):
            for i in range(joints):
                near = [j for j in range(joints) if adjacency[i, j]]
                e = np.exp([edges[d, i, j] for j in near])
                for share, j in zip(e / e.sum(), near, strict=True):
                    out[b, i, d] += share * (x[b, j] @ weight[d])
                out[b, i, d] += bias[d]
    return out


@pytest.fixture
def conv():
    torch.manual_seed(0)
    conv = SemanticGraphConv(3, 4, skeleton_adjacency(5, LINKS)).double()
    torch.nn.init.normal_(conv.edges)
    torch.nn.init.normal_(conv.bias)
    return conv


def test_conv_equals_slow_computation(conv):
    x = torch.randn(2, 5, 3, dtype=torch.float64)
    expected = slow_conv(conv, x, skeleton_adjacency(5, LINKS))
    np.testing.assert_allclose(conv(x).detach(), expected, atol=1e-12)


def test_conv_gradient(conv):
    x = torch.randn(2, 5, 3, dtype=torch.float64, requires_grad=True)
    names, parameters = zip(*conv.named_parameters(), strict=True)

    def call(x, *values):
        return torch.func.functional_call(
            conv, dict(zip(names, values, strict=True)), x
        )

    assert gradcheck(call, (x, *parameters))


def test_conv_sees_neighbors_only(conv):
    x = torch.randn(1, 5, 3, dtype=torch.float64, requires_grad=True)
    adjacency = skeleton_adjacency(5, LINKS)
    for i in range(5):
        (grad,) = torch.autograd.grad(conv(x)[0, i].sum(), x)
        assert torch.equal(grad[0].any(dim=-1), adjacency[i])
    weights = conv.edge_weights()
    assert not weights[:, ~adjacency].any()
    torch.testing.assert_close(weights.sum(-1), torch.ones(4, 5).double())


def test_conv_begins_as_the_mean_of_the_neighbors():
    adjacency = skeleton_adjacency(5, LINKS)
    weights = SemanticGraphConv(3, 4, adjacency).edge_weights()
    expected = adjacency.float() / adjacency.sum(1, keepdim=True)
    torch.testing.assert_close(weights, expected.expand(4, 5, 5))


def test_conv_without_bias_and_wrong_arguments():
    adjacency = skeleton_adjacency(5, LINKS)
    conv = SemanticGraphConv(3, 4, adjacency, bias=False)
    assert not conv(torch.zeros(2, 5, 3)).any()
    assert set(conv.state_dict()) == {"edges", "linear.weight"}
    with pytest.raises(ValueError, match=r"x must.*\(2, 4, 3\)"):
        conv(torch.zeros(2, 4, 3))
    with pytest.raises(ValueError, match=r"adjacency.*\(2, 3\)"):
        SemanticGraphConv(3, 4, torch.ones(2, 3))
    with pytest.raises(ValueError, match=r"adjacency.*\[1\]"):
        SemanticGraphConv(3, 4, torch.tensor([[1, 0], [0, 0]]))


def test_unit_normalizes_channels_over_images_and_joints():
    unit = SemanticGraphUnit(3, 4, skeleton_adjacency(5, LINKS))
    x = torch.randn(8, 5, 3)
    y = unit.conv(x)
    y = (y - y.mean(dim=(0, 1))) / (y.var(dim=(0, 1), unbiased=False) + 1e-5).sqrt()
    torch.testing.assert_close(unit(x), y.clamp(min=0), atol=1e-5, rtol=1e-4)


def test_block_is_residual_and_its_non_local_layer_starts_as_identity():
    torch.manual_seed(0)
    block = SemanticGraphBlock(6, skeleton_adjacency(5, LINKS))
    x = torch.randn(2, 5, 6)
    assert torch.equal(block(x), x + block.units(x))
    for unit in block.units:
        torch.nn.init.zeros_(unit.norm.weight)
    assert torch.equal(block(x), x)


def test_non_local_layer_reaches_every_joint_once_trained():
    torch.manual_seed(0)
    block = SemanticGraphBlock(6, skeleton_adjacency(5, LINKS)).double().eval()
    torch.nn.init.normal_(block.non_local.conv_out.conv.weight)
    x = torch.randn(1, 5, 6, dtype=torch.float64, requires_grad=True)
    (grad,) = torch.autograd.grad(block(x)[0, 4].sum(), x)
    assert grad[0].any(dim=-1).all()  # joint 4 has no link
    # An independent computation of y + W_z softmax(theta phi^T / sqrt(d)) g.
    layer = block.non_local
    y = (x + block.units(x)).detach()[0]
    theta, phi, g, out = (
        (m.conv.weight[:, :, 0].detach(), m.conv.bias.detach())
        for m in (layer.theta, layer.phi, layer.g, layer.conv_out)
    )
    theta, phi, g = (y @ w.t() + b for w, b in (theta, phi, g))
    affinity = (theta @ phi.t() / theta.size(1) ** 0.5).softmax(-1)
    expected = y + affinity @ g @ out[0].t() + out[1]
    torch.testing.assert_close(block(x)[0].detach(), expected)
