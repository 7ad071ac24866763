import pytest
import torch

from mmpose_da.models.losses import ConsistencyLoss


def test_consistency_loss_is_that_of_a_slow_loop():
    heatmaps, pseudo = torch.rand(2, 3, 4, 5), torch.rand(2, 3, 4, 5)
    weights = torch.tensor([[1.0, 0.0, 0.5], [0.0, 1.0, 1.0]])
    expected = 0.0
    for b in range(2):
        for k in range(3):
            for y in range(4):
                for x in range(5):
                    error = float(heatmaps[b, k, y, x] - pseudo[b, k, y, x])
                    expected += float(weights[b, k]) * error**2 / 6
    assert ConsistencyLoss()(heatmaps, pseudo, weights).item() == pytest.approx(
        expected
    )


def test_consistency_loss_teaches_the_heatmaps_alone():
    heatmaps = torch.rand(2, 3, 4, 4, dtype=torch.double, requires_grad=True)
    pseudo = torch.rand_like(heatmaps).requires_grad_()
    weights = torch.rand(2, 3, dtype=torch.double)
    loss = ConsistencyLoss()
    assert torch.autograd.gradcheck(lambda h: loss(h, pseudo, weights), heatmaps)
    loss(heatmaps, pseudo, weights).backward()
    assert pseudo.grad is None


@pytest.mark.parametrize("count", [0, 2])
def test_consistency_with_nothing_believed_is_zero_with_a_graph(count):
    heatmaps = torch.rand(count, 3, 4, 4, requires_grad=True)
    loss = ConsistencyLoss()(
        heatmaps, torch.rand(count, 3, 4, 4), torch.zeros(count, 3)
    )
    loss.backward()
    assert loss == 0 and (heatmaps.grad == 0).all()


def test_consistency_loss_names_wrong_shapes():
    with pytest.raises(ValueError, match=r"\(2, 3, 4, 4\), \(2, 3, 4, 5\)"):
        ConsistencyLoss()(
            torch.zeros(2, 3, 4, 4), torch.zeros(2, 3, 4, 5), torch.zeros(2, 3)
        )
