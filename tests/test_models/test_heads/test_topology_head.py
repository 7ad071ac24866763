import pytest
import torch
from mmpose.registry import MODELS
from torch import nn

from mmpose_da.models.heads import TopologyHead

LINKS = [(0, 1), (1, 2), (3, 1), (3, 4)]


def build(**kwargs):
    torch.manual_seed(0)
    arguments = {"in_channels": 6, "num_keypoints": 5, "skeleton_links": LINKS}
    return MODELS.build({"type": "TopologyHead", **arguments, **kwargs})


def test_defaults_are_those_of_the_method():
    head = build()
    assert len(head.blocks) == 4
    assert head(torch.randn(2, 5, 6)).shape == (2, 5, 64)
    norms = [m for m in head.modules() if isinstance(m, nn.BatchNorm1d)]
    assert len(norms) == 9 and all(m.num_features == 128 for m in norms)


@pytest.mark.parametrize("batch", [1, 3])
def test_every_parameter_gets_a_gradient(batch):
    head = build(channels=8, num_blocks=2, out_channels=7).double()
    for block in head.blocks:  # behind its zero output map a layer has no gradient
        nn.init.normal_(block.non_local.conv_out.conv.weight)
    x = torch.randn(batch, 5, 6, dtype=torch.float64, requires_grad=True)
    topology = head(x)
    coordinates = head.readout(topology)
    assert topology.shape == (batch, 5, 7) and coordinates.shape == (batch, 5, 2)
    (coordinates.square().sum() + topology.square().sum()).backward()
    assert x.grad.any() and x.grad.isfinite().all()
    for name, parameter in head.named_parameters():
        assert parameter.grad is not None and parameter.grad.isfinite().all(), name


def test_readout_is_joint_by_joint():
    head = build(channels=8, num_blocks=1, out_channels=7)
    topology = torch.randn(2, 5, 7, requires_grad=True)
    head.readout(topology)[0, 3].sum().backward()
    reached = topology.grad.any(dim=-1)
    assert reached[0, 3] and reached.sum() == 1


def test_init_weights_keeps_the_non_local_layers_at_zero():
    head = build(channels=8, num_blocks=2)
    head.init_weights()
    for block in head.blocks:
        assert not block.non_local.conv_out.conv.weight.any()
        assert not block.non_local.conv_out.conv.bias.any()


def test_readout_error_drives_a_constant_representation_apart():
    head = build(channels=8, num_blocks=1, out_channels=7)
    topology = torch.ones(2, 5, 7, requires_grad=True)
    coordinates = torch.rand(2, 5, 2)
    (head.readout(topology) - coordinates).square().sum().backward()
    steps = -topology.grad
    # Different poses pull the same representation to different sides: along the
    # difference of the steps, the readouts differ as the coordinates do.
    with torch.no_grad():
        moved = head.readout(topology + 1e-2 * steps)
    agreement = (moved[0] - moved[1]) * (coordinates[0] - coordinates[1])
    assert (agreement.sum(-1) > 0).all()


def test_wrong_arguments():
    with pytest.raises(ValueError, match="skeleton_links"):
        TopologyHead(6, 5, [(0, 5)])
    with pytest.raises(ValueError, match="num_blocks.*-1"):
        TopologyHead(6, 5, LINKS, num_blocks=-1)
