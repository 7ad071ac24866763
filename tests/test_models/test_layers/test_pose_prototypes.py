import math

import numpy as np
import pytest
import torch
from torch import nn
from torch.autograd import gradcheck

from mmpose_da.models.layers import (
    PosePrototypes,
    PrototypeRelations,
    cosine_maps,
    part_prototypes,
    skeleton_adjacency,
)

LINKS = [(0, 1), (1, 2)]


@pytest.fixture
def example():
    torch.manual_seed(0)
    features = torch.randn(2, 4, 3, 5, dtype=torch.float64)
    return features, torch.randn(2, 3, 3, 5, dtype=torch.float64)


def slow_prototypes(features, maps):
    batch, channels, height, width = features.shape
    out = np.zeros((batch, maps.shape[1], channels))
    for b in range(batch):
        for k in range(maps.shape[1]):
            total = sum(
                math.exp(maps[b, k, i, j]) for i in range(height) for j in range(width)
            )
            for i in range(height):
                for j in range(width):
                    share = math.exp(maps[b, k, i, j]) / total
                    out[b, k] += share * features[b, :, i, j].numpy()
    return out


def slow_cosines(prototypes, features):
    batch, _, height, width = features.shape
    out = np.zeros((batch, prototypes.shape[1], height, width))
    for b, k, i, j in np.ndindex(*out.shape):
        p, f = prototypes[b, k], features[b, :, i, j].numpy()
        out[b, k, i, j] = p @ f / np.sqrt((p @ p) * (f @ f))
    return out


def test_prototypes_equal_slow_computation(example):
    found = part_prototypes(*example)
    np.testing.assert_allclose(found, slow_prototypes(*example), rtol=1e-10)


def test_cosines_equal_slow_computation(example):
    features, _ = example
    prototypes = torch.randn(2, 3, 4, dtype=torch.float64)
    found = cosine_maps(prototypes, features)
    expected = slow_cosines(prototypes.numpy(), features)
    np.testing.assert_allclose(found, expected, rtol=1e-10)


@pytest.mark.parametrize("location", ["cosine", "product"])
def test_locations_and_logits_equal_slow_computation(example, location):
    features, maps = example
    layer = PosePrototypes(4, 3, temperature=0.3, location=location).double()
    found, logits = layer(features, maps)
    prototypes = slow_prototypes(features, maps)
    cosines = slow_cosines(prototypes, features) / 0.3
    expected = cosines.copy()
    if location == "product":
        expected += np.log(1 / (1 + np.exp(-maps.numpy())))
    np.testing.assert_allclose(found.detach(), expected, rtol=1e-9)
    pooled = slow_prototypes(features, torch.from_numpy(cosines))
    for classifier, joints, logit in zip(
        layer.classifiers, (prototypes, pooled), logits, strict=True
    ):
        weight, bias = (p.detach().numpy() for p in classifier.parameters())
        by_hand = [[j[k] @ weight[k] + bias[k] for k in range(3)] for j in joints]
        np.testing.assert_allclose(logit.detach(), by_hand, rtol=1e-9)


@pytest.mark.parametrize("detach", [False, True])
def test_gradients(example, detach):
    features, maps = (x[:1, :, :2, :2].requires_grad_() for x in example)
    layer = PosePrototypes(4, 3, detach_maps=detach).double()

    def loss(features, maps):
        location, logits = layer(features, maps)
        return location.sum() + sum(logits).sum()

    loss(features, maps).backward()
    assert (maps.grad is None) == detach
    assert gradcheck(
        lambda features: loss(features, maps.detach()), features.requires_grad_()
    )


def test_the_location_is_where_the_prototype_came_from():
    """Features that differ in one cell are found there."""
    features = torch.zeros(1, 4, 3, 3)
    features[:, 0] = 1
    features[0, :, 2, 1] = torch.tensor([0.0, 1, 0, 0])
    maps = torch.zeros(1, 1, 3, 3)
    maps[0, 0, 2, 1] = 6
    location, _ = PosePrototypes(4, 1, location="cosine")(features, maps)
    assert location.flatten().argmax() == 7


@pytest.mark.parametrize("kind", ["graph", "attention"])
def test_relations_pass_messages(kind):
    torch.manual_seed(0)
    relations = PrototypeRelations(8, skeleton_adjacency(3, LINKS), kind).eval()
    x = torch.randn(2, 3, 8, requires_grad=True)
    out = relations(x)
    assert out.shape == x.shape
    out[0, 0].square().sum().backward()
    reached = x.grad[0].abs().sum(-1) > 0
    assert reached.tolist() == [True, True, True]
    assert not x.grad[1].any()
    assert not torch.equal(out, x)


def slow_joint_attention(layer, x):
    """Every pair of joints and every head on its own, in float64."""
    of_norm, attention = layer.norm, layer.attention
    weight, bias, out_weight, out_bias, scale, shift = (
        p.detach().numpy()
        for p in (
            attention.in_proj_weight,
            attention.in_proj_bias,
            attention.out_proj.weight,
            attention.out_proj.bias,
            of_norm.weight,
            of_norm.bias,
        )
    )
    batch, joints, channels = x.shape
    width = channels // attention.num_heads
    out = np.zeros(x.shape)
    for b in range(batch):
        normal = np.zeros((joints, channels))
        for k in range(joints):
            centered = x[b, k] - x[b, k].mean()
            deviation = math.sqrt((centered**2).mean() + of_norm.eps)
            normal[k] = centered / deviation * scale + shift
        q, k, v = np.split(normal @ weight.T + bias, 3, axis=1)
        found = np.zeros((joints, channels))
        for start in range(0, channels, width):
            head = slice(start, start + width)
            for i in range(joints):
                shares = [
                    math.exp(q[i, head] @ key / math.sqrt(width)) for key in k[:, head]
                ]
                for share, value in zip(shares, v[:, head], strict=True):
                    found[i, head] += share / sum(shares) * value
        out[b] = x[b] + found @ out_weight.T + out_bias
    return out


@pytest.fixture
def joint_attention():
    torch.manual_seed(0)
    [layer] = PrototypeRelations(16, skeleton_adjacency(3, LINKS), "attention").double()
    for parameter in layer.parameters():
        nn.init.normal_(parameter)  # biases start at 0, scales at 1
    return layer, torch.randn(2, 3, 16, dtype=torch.float64)


@pytest.mark.parametrize("training", [True, False])
def test_attention_among_joints_equals_slow_computation(joint_attention, training):
    """Also in evaluation, where PyTorch may take another path."""
    layer, x = joint_attention
    with torch.no_grad():
        found = layer.train(training)(x)
    np.testing.assert_allclose(found, slow_joint_attention(layer, x.numpy()), rtol=1e-9)


def test_gradients_of_attention_among_joints(joint_attention):
    layer, x = joint_attention
    assert gradcheck(layer, x.requires_grad_())


def test_prototypes_have_relations(example):
    features, maps = (x.float() for x in example)
    relations = PrototypeRelations(8, skeleton_adjacency(3, LINKS))
    layer = PosePrototypes(8, 3, relations=relations)
    features = torch.cat([features, features.flip(1)], dim=1)
    layer(features, maps)[0].sum().backward()
    assert all(p.grad is not None for p in relations[0].units.parameters())


def test_half_precision(example):
    features, maps = (x.bfloat16() for x in example)
    location, logits = PosePrototypes(4, 3)(features, maps)
    assert location.dtype == torch.float32 and torch.isfinite(location).all()
    assert all(torch.isfinite(logit).all() for logit in logits)


def test_errors():
    with pytest.raises(ValueError, match="temperature must be positive"):
        PosePrototypes(4, 3, temperature=0)
    with pytest.raises(ValueError, match="location must be"):
        PosePrototypes(4, 3, location="sum")
    with pytest.raises(ValueError, match="relations.kind must be"):
        PrototypeRelations(8, skeleton_adjacency(3, LINKS), kind="tree")
