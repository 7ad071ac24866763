import numpy as np
import pytest
import torch
from mmpose.registry import MODELS
from torch.autograd import gradcheck

from mmpose_da.models.losses import IHTALoss, pose_similarity


def random(*shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


def poses(n, m, joints=4, channels=3):
    return (
        random(n, joints, channels),
        random(m, joints, channels, seed=1),
        random(n, joints, seed=2).abs(),
        random(m, joints, seed=3).abs(),
    )


def slow_similarity(source, target, c_source, c_target):
    source, target, c_source, c_target = (
        x.detach().numpy() for x in (source, target, c_source, c_target)
    )
    result = np.zeros((len(source), len(target)))
    for i, (vs, cs) in enumerate(zip(source, c_source, strict=True)):
        for j, (vt, ct) in enumerate(zip(target, c_target, strict=True)):
            total = weight = 0.0
            for k in range(len(cs)):
                product = np.linalg.norm(vs[k]) * np.linalg.norm(vt[k])
                cosine = vs[k] @ vt[k] / product if product else 0.0
                total += cs[k] * ct[k] * cosine
                weight += cs[k] * ct[k]
            result[i, j] = total / weight if weight else 0.0
    return result


def slow_ihta(g_source, g_target, similarity, threshold):
    g_source, g_target = g_source.detach().numpy(), g_target.detach().numpy()
    terms = [
        ((g_source[i] - g_target[j]) ** 2).sum()
        for i in range(len(g_source))
        for j in range(len(g_target))
        if similarity[i, j] >= threshold
    ]
    return np.mean(terms) if terms else 0.0


@pytest.mark.parametrize("n, m", [(1, 1), (3, 5), (6, 2), (0, 3), (3, 0)])
def test_similarity_equals_slow_computation(n, m):
    inputs = poses(n, m)
    similarity = pose_similarity(*inputs)
    assert similarity.shape == (n, m)
    np.testing.assert_allclose(similarity, slow_similarity(*inputs), atol=1e-12)


def test_similarity_with_zero_features_and_confidences():
    inputs = poses(3, 4)
    source, target, c_source, c_target = inputs
    source[0, 1] = target[2, 3] = 0
    c_source[1] = 0  # no confident joint at all
    c_source[2, :2] = c_target[0, 2:] = 0  # none in common
    similarity = pose_similarity(*inputs)
    np.testing.assert_allclose(similarity, slow_similarity(*inputs), atol=1e-12)
    assert not similarity[1].any() and similarity[2, 0] == 0


def test_similarity_gradient_is_right_and_finite():
    inputs = [x.requires_grad_() for x in poses(2, 3, joints=2)]
    assert gradcheck(pose_similarity, inputs)
    source, target, c_source, c_target = (x.detach() for x in inputs)
    degenerate = [source * 0, target, c_source * 0, c_target]
    degenerate = [x.requires_grad_() for x in degenerate]
    pose_similarity(*degenerate).sum().backward()
    assert all(x.grad.isfinite().all() for x in degenerate)


def test_similarity_of_a_pose_with_itself_is_one():
    source, _, confidence, _ = poses(3, 3)
    similarity = pose_similarity(source, 3 * source, confidence, confidence)
    torch.testing.assert_close(similarity.diagonal(), torch.ones(3).double())


@pytest.mark.parametrize("n, m", [(1, 1), (5, 3), (2, 7)])
@pytest.mark.parametrize("threshold", [-1.0, 0.3])
def test_loss_equals_slow_computation(n, m, threshold):
    g_source, g_target = random(n, 4, 6), random(m, 4, 6, seed=1)
    similarity = random(n, m, seed=2).tanh()
    loss = MODELS.build({"type": "IHTALoss", "threshold": threshold})
    expected = slow_ihta(g_source, g_target, similarity, threshold)
    assert loss(g_source, g_target, similarity).item() == pytest.approx(expected)
    share = loss.positive_share(similarity)
    assert share.shape == ()
    assert share.item() == pytest.approx((similarity >= threshold).double().mean())


def test_gradient():
    g_source = random(3, 2, 4).requires_grad_()
    g_target = random(4, 2, 4, seed=1).requires_grad_()
    similarity = random(3, 4, seed=2)
    loss = IHTALoss(threshold=0.0)
    assert gradcheck(lambda s, t: loss(s, t, similarity), (g_source, g_target))


def test_gradient_at_distance_zero_is_zero():
    g_source = random(2, 3, 4).float().requires_grad_()
    g_target = g_source.detach().clone().requires_grad_()
    loss = IHTALoss(threshold=0.9)(g_source, g_target, torch.eye(2))
    loss.backward()
    assert loss.item() == pytest.approx(0, abs=1e-5)
    torch.testing.assert_close(g_source.grad, torch.zeros(2, 3, 4), atol=1e-5, rtol=0)
    torch.testing.assert_close(g_target.grad, torch.zeros(2, 3, 4), atol=1e-5, rtol=0)


@pytest.mark.parametrize("n, m", [(0, 0), (0, 3), (3, 0), (1, 1), (2, 3)])
def test_no_positive_pair_gives_zero_with_graph(n, m):
    g_source = random(n, 4, 6).requires_grad_()
    g_target = random(m, 4, 6, seed=1).requires_grad_()
    loss_module = IHTALoss(threshold=0.9)
    similarity = torch.zeros(n, m, dtype=torch.float64)
    loss = loss_module(g_source, g_target, similarity)
    assert loss.item() == 0 and loss.requires_grad
    loss.backward()
    assert not g_source.grad.any() and not g_target.grad.any()
    assert loss_module.positive_share(similarity).item() == 0


def test_no_pairwise_feature_tensor():
    # (256, 256, 17, 64) in float32 would be 285 MB; the loss saves far less.
    g_source = torch.randn(256, 17, 64, requires_grad=True)
    g_target = torch.randn(256, 17, 64, requires_grad=True)
    confidence = torch.rand(256, 17)
    saved = []
    with torch.autograd.graph.saved_tensors_hooks(
        lambda x: saved.append(x.numel()) or x, lambda x: x
    ):
        similarity = pose_similarity(g_source, g_target, confidence, confidence)
        IHTALoss(threshold=-1.0)(g_source, g_target, similarity).backward()
    assert max(saved) <= 256 * 17 * 64


def test_wrong_arguments():
    with pytest.raises(ValueError, match="threshold.*1.5"):
        IHTALoss(threshold=1.5)
    with pytest.raises(ValueError, match="share.*1.5"):
        IHTALoss(share=1.5)
    for both in (dict(), dict(threshold=0.5, share=0.5)):
        with pytest.raises(ValueError, match="either threshold or share"):
            IHTALoss(**both)
    g = torch.zeros(2, 3, 4)
    with pytest.raises(ValueError, match=r"similarity.*\(2, 2\).*\(2, 3\)"):
        IHTALoss(threshold=0.9)(g, g, torch.zeros(2, 3))
    with pytest.raises(ValueError, match="source_topology"):
        IHTALoss(threshold=0.9)(g, torch.zeros(2, 3, 5), torch.zeros(2, 2))
    with pytest.raises(ValueError, match="source and target"):
        pose_similarity(g, torch.zeros(2, 4, 4), torch.ones(2, 3), torch.ones(2, 4))
    with pytest.raises(ValueError, match=r"target_confidence.*\(2, 4\)"):
        pose_similarity(g, g, torch.ones(2, 3), torch.ones(2, 4))


@pytest.mark.parametrize("share, count", [(0.01, 1), (0.25, 6), (1.0, 24)])
def test_share_takes_the_most_similar_pairs(share, count):
    similarity = torch.randperm(24).view(4, 6) / 24
    g_source, g_target = torch.randn(4, 3, 5), torch.randn(6, 3, 5)
    loss = IHTALoss(share=share)
    threshold = (24 - count) / 24
    expected = slow_ihta(g_source, g_target, similarity, threshold)
    assert loss(g_source, g_target, similarity).item() == pytest.approx(expected, 1e-5)
    assert loss.positive_share(similarity).item() == pytest.approx(count / 24)


def test_share_of_nothing_is_nothing():
    loss = IHTALoss(share=0.5)
    g = torch.randn(0, 3, 5, requires_grad=True)
    value = loss(g, torch.randn(2, 3, 5), torch.zeros(0, 2))
    value.backward()
    assert value == 0 and loss.positive_share(torch.zeros(0, 2)) == 0
