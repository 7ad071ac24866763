import logging
import re

import pytest
import torch
from mmengine.logging import MMLogger
from mmpose.models import ResNet
from mmpose.registry import MODELS
from torch import nn

from mmpose_da.models.backbones import EFASNet, FASMBottleneck
from mmpose_da.models.layers import FeatureAggregationSelection

ALL = (0, 1, 2, 3)
NARROW = dict(stem_channels=8, base_channels=8)


def build(depth=50, **kwargs) -> EFASNet:
    torch.manual_seed(0)
    return MODELS.build(dict(type="EFASNet", depth=depth, **{**NARROW, **kwargs}))


def fasms(backbone) -> list[FeatureAggregationSelection]:
    return [b.conv2 for b in backbone.modules() if isinstance(b, FASMBottleneck)]


@pytest.mark.parametrize("depth, blocks", [(50, 16), (101, 33), (152, 50)])
def test_every_3x3_convolution_of_a_block_is_a_fasm(depth, blocks):
    backbone = build(depth, out_indices=ALL)
    modules = fasms(backbone)
    assert len(modules) == blocks
    strides = [module.stride for module in modules if module.stride > 1]
    assert strides == [2, 2, 2]  # of the first blocks of three stages
    # The shapes of a ResNet, also for sizes that 32 does not divide.
    stock = ResNet(depth, out_indices=ALL, **NARROW)
    x = torch.randn(2, 3, 70, 64)
    with torch.no_grad():
        outputs, expected = backbone(x), stock(x)
    assert [x.shape for x in outputs] == [x.shape for x in expected]


@pytest.mark.parametrize(
    "kwargs",
    [
        dict(deep_stem=True, avg_down=True),
        dict(style="caffe"),
        dict(strides=(1, 2, 2, 1), dilations=(1, 1, 1, 2)),
        dict(num_stages=3, strides=(1, 2, 2), dilations=(1, 1, 1), out_indices=(2,)),
        dict(norm_cfg=dict(type="GN", num_groups=1)),
        dict(expansion=2),
    ],
    ids=lambda kwargs: "-".join(kwargs),
)
def test_arguments_of_a_resnet(kwargs):
    backbone = build(**kwargs)
    backbone.init_weights()
    stock = ResNet(50, **NARROW, **kwargs)
    x = torch.randn(2, 3, 64, 64)
    assert backbone(x)[0].shape == stock(x)[0].shape


def test_arguments_of_the_fasm():
    backbone = build(num_groups=2, selection=None)
    assert {module.num_groups for module in fasms(backbone)} == {2}
    assert all(module.selection is None for module in fasms(backbone))
    wide = build(base_channels=64, reduction=4)
    assert fasms(wide)[-1].selection.squeeze.weight.shape == (32, 128)
    wider = build(base_channels=64, reduction=2)
    assert fasms(wider)[-1].selection.squeeze.weight.shape == (64, 128)


def test_has_fewer_parameters_than_the_resnet():
    ours, stock = (
        sum(p.numel() for p in kind(50).parameters()) for kind in (EFASNet, ResNet)
    )
    assert ours < stock


def test_weights_of_a_resnet_load_by_name_and_the_log_says_what_is_missing(tmp_path):
    """As from ``torchvision://resnet50``, which has a classifier, too."""
    torch.manual_seed(1)
    stock = ResNet(50, **NARROW)
    for weight in stock.state_dict().values():
        if weight.is_floating_point():
            nn.init.normal_(weight)
    weights = dict(stock.state_dict(), **{"fc.weight": torch.zeros(10, 256)})
    path = tmp_path / "resnet50.pth"
    torch.save(weights, path)

    backbone = build(init_cfg=dict(type="Pretrained", checkpoint=str(path)))
    before = {key: value.clone() for key, value in backbone.state_dict().items()}
    messages = []
    handler = logging.Handler()
    handler.emit = lambda record: messages.append(record)
    logger = MMLogger.get_current_instance()
    logger.addHandler(handler)
    backbone.init_weights()
    logger.removeHandler(handler)

    after = backbone.state_dict()
    own = {key for key in after if ".conv2." in key}
    for key, value in after.items():
        assert torch.equal(value, before[key] if key in own else weights[key]), key
    assert own == after.keys() - weights.keys()
    replaced = weights.keys() - after.keys() - {"fc.weight"}
    assert len(replaced) == 16 and all("conv2.weight" in key for key in replaced)

    [warning] = [r.getMessage() for r in messages if r.levelno == logging.WARNING]
    counters = {key for key in own if key.endswith("num_batches_tracked")}
    for what, keys in (
        ("unexpected key", {"fc.weight", *replaced}),
        ("missing keys", own - counters),
    ):
        [line] = re.findall(f"{what} in source state_dict: (.+)", warning)
        assert set(line.split(", ")) == keys


def test_a_trained_checkpoint_replaces_everything(tmp_path):
    torch.manual_seed(1)
    trained = build()
    for weight in trained.parameters():
        nn.init.normal_(weight)
    path = tmp_path / "trained.pth"
    torch.save(dict(state_dict=trained.state_dict()), path)
    backbone = build(init_cfg=dict(type="Pretrained", checkpoint=str(path)))
    backbone.init_weights()
    expected = trained.state_dict()
    assert all(torch.equal(w, expected[k]) for k, w in backbone.state_dict().items())


def test_zero_init_residual_makes_blocks_the_identity():
    backbone = build()
    backbone.init_weights()
    block = backbone.layer1[1].train()
    x = torch.randn(2, 32, 8, 8).relu()
    assert torch.equal(block(x), x)
    other = build(zero_init_residual=False)
    other.init_weights()
    assert not torch.equal(other.layer1[1](x), x)


@pytest.mark.parametrize("init_cfg", [None, dict(type="Kaiming", layer="Conv2d")])
def test_selection_starts_uniform_after_any_initialization(init_cfg):
    kwargs = {} if init_cfg is None else dict(init_cfg=init_cfg)
    backbone = build(**kwargs)
    backbone.init_weights()
    for module in fasms(backbone):
        assert not module.selection.select.weight.any()
        assert not module.selection.select.bias.any()


def test_frozen_stages():
    backbone = build(frozen_stages=2)
    backbone.train()
    for name, parameter in backbone.named_parameters():
        frozen = name.startswith(("conv1", "bn1", "layer1", "layer2"))
        assert parameter.requires_grad is not frozen, name
    assert not any(m.training for m in backbone.layer2.modules())
    assert all(m.training for m in backbone.layer3.modules())


def test_norm_eval_covers_the_selection():
    backbone = build(norm_eval=True)
    backbone.train()
    norms = [m for m in backbone.modules() if isinstance(m, nn.BatchNorm2d)]
    # Of the stock blocks and shortcuts, and four in each FASM.
    assert len(norms) == 53 + 16 * 4 and not any(norm.training for norm in norms)
    assert backbone.layer1[0].conv2.training
    assert backbone(torch.randn(1, 3, 64, 64))[0].isfinite().all()


def test_gradient_checkpointing_changes_nothing_but_memory():
    gradients = []
    for with_cp in (False, True):
        backbone = build(with_cp=with_cp, zero_init_residual=False)
        backbone.init_weights()
        backbone.double()
        torch.manual_seed(2)
        x = torch.randn(2, 3, 64, 64, dtype=torch.float64, requires_grad=True)
        backbone(x)[0].square().mean().backward()
        gradients.append([x.grad, *(p.grad for p in backbone.parameters())])
    for ours, plain in zip(*gradients, strict=True):
        torch.testing.assert_close(ours, plain)


def test_bfloat16_is_finite_and_close():
    backbone = build()
    backbone.init_weights()
    x = torch.randn(4, 3, 64, 64)
    with torch.autocast("cpu", torch.bfloat16):
        [half] = backbone(x)
    [full] = backbone(x)
    assert half.isfinite().all()
    assert (half.float() - full).abs().mean() < 0.05 * full.abs().mean()
    half.float().square().mean().backward()
    assert all(p.grad.isfinite().all() for p in backbone.parameters())


def test_wrong_arguments():
    with pytest.raises(ValueError, match="depth of 50, 101, 152, got depth=18"):
        build(18)
    with pytest.raises(ValueError, match="num_groups=3 for 8 channels.*base_channels"):
        build(num_groups=3)
