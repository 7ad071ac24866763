import pytest
import torch
from mmpose.registry import MODELS

from mmpose_da.models.heads import GlobalDomainDiscriminator, LocalDomainDiscriminator


@pytest.mark.parametrize("batch", [0, 1, 3])
def test_global_is_an_mlp_on_the_pooled_features(batch):
    config = {"type": "GlobalDomainDiscriminator", "in_channels": 6}
    head = MODELS.build({**config, "hidden_channels": 8}).double()
    x = torch.randn(batch, 6, 4, 3, dtype=torch.float64)
    (w1, b1), (w2, b2), (w3, b3) = (
        (m.weight, m.bias) for m in head.layers if hasattr(m, "weight")
    )
    rows = []
    for image in x:
        pooled = torch.stack([channel.sum() / 12 for channel in image])
        hidden = (w2 @ (w1 @ pooled + b1).clamp(min=0) + b2).clamp(min=0)
        rows.append(w3 @ hidden + b3)
    logits = head(x)
    assert logits.shape == (batch, 1)
    if batch:
        torch.testing.assert_close(logits, torch.stack(rows))


@pytest.mark.parametrize("batch", [0, 1, 3])
def test_local_sees_one_position_only(batch):
    config = {"type": "LocalDomainDiscriminator", "in_channels": 6}
    head = MODELS.build({**config, "hidden_channels": 8}).double()
    x = torch.randn(batch, 6, 4, 3, dtype=torch.float64, requires_grad=True)
    logits = head(x)
    assert logits.shape == (batch, 1, 4, 3)
    if batch:
        (grad,) = torch.autograd.grad(logits[0, 0, 2, 1], x)
        reached = grad.any(dim=1)
        assert reached[0, 2, 1] and reached.sum() == 1
        # Every position is classified alike.
        shuffled = head(x.flip(2, 3))
        torch.testing.assert_close(shuffled, logits.flip(2, 3))


@pytest.mark.parametrize("cls", [GlobalDomainDiscriminator, LocalDomainDiscriminator])
def test_learns_to_tell_domains(cls):
    torch.manual_seed(0)
    head = cls(4, hidden_channels=16)
    source, target = torch.randn(16, 4, 3, 3) + 1, torch.randn(16, 4, 3, 3) - 1
    optimizer = torch.optim.Adam(head.parameters(), lr=1e-2)
    for _ in range(30):
        loss = (-head(source)).exp().log1p().mean() + head(target).exp().log1p().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert (head(source) > 0).float().mean() > 0.9
    assert (head(target) < 0).float().mean() > 0.9


def test_dropout_and_wrong_arguments():
    head = GlobalDomainDiscriminator(4, dropout=0.5)
    x = torch.randn(2, 4, 3, 3)
    assert not torch.equal(head(x), head(x))
    assert torch.equal(head.eval()(x), head(x))
    for cls in (GlobalDomainDiscriminator, LocalDomainDiscriminator):
        with pytest.raises(ValueError, match=r"features.*\(2, 4\)"):
            cls(4)(torch.zeros(2, 4))
