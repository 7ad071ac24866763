"""The decoder learns from labeled images alone, the encoder from all."""

import pytest
import torch
from mmengine.structures import InstanceData, PixelData
from mmpose.registry import MODELS
from mmpose.structures import PoseDataSample
from tiny_domains_3d import head_config
from tiny_model import build, model_config
from torch.func import functional_call

from mmpose_da.codecs import MarginalHeatmap
from mmpose_da.structures import DomainBatch, map_tensors

DFA = dict(dfa=dict(type="DomainFeatureAlignment"))
COUNTS = dict(source=4, target_pseudo=3, target_unlabeled=2)


def make_batch(three_d: bool, counts=COUNTS):
    generator = torch.Generator().manual_seed(0)
    samples = []
    for domain, count in counts.items():
        for _ in range(count):
            sample = PoseDataSample(metainfo=dict(domain=domain))
            if domain != "target_unlabeled":
                labels = dict(keypoint_weights=torch.ones(1, 17 if three_d else 16))
                if three_d:
                    points = torch.rand(1, 17, 3, generator=generator) * 1.2 - 0.6
                    labels.update(
                        keypoint_labels=points, depth_weights=torch.ones(1, 17)
                    )
                else:
                    maps = torch.rand(16, 16, 16, generator=generator)
                    sample.gt_fields = PixelData(heatmaps=maps)
                sample.gt_instance_labels = InstanceData(**labels)
            samples.append(sample)
    images = torch.randn(len(samples), 3, 64, 64, generator=generator)
    return images, samples


def make(three_d: bool, adaptations=DFA, **kwargs):
    torch.manual_seed(0)
    if three_d:
        kwargs.update(head=head_config(**kwargs.pop("head", {})))
        kwargs.update(joints="Human36mDataset", test_cfg=dict())
    else:
        kwargs.update(joints="MpiiDataset")
    cfg = model_config(16)
    cfg.update(kwargs)
    model = MODELS.build(
        dict(cfg, type="DomainAdaptiveTopdown", adaptations=adaptations)
    )
    model.init_weights()
    # Dropout or batches of another composition would change the features.
    model.train()
    model.backbone.eval()
    return model


def gradients(model, losses, module):
    model.zero_grad()
    sum(value for name, value in losses.items() if "loss" in name).backward()
    return {n: p.grad.clone() for n, p in module.named_parameters()}


@pytest.mark.parametrize("three_d", [False, True], ids=["2d", "3d"])
@pytest.mark.parametrize("statistics", ["running", "batch"])
def test_decoder_learns_from_the_source_alone(three_d, statistics):
    adaptation = dict(dfa=dict(type="DomainFeatureAlignment", statistics=statistics))
    model = make(three_d, adaptation)
    images, samples = make_batch(three_d)
    buffers = {k: v.clone() for k, v in model.head.named_buffers()}
    aligned = gradients(model, model.loss(images, samples), model.head)
    after = {k: v.clone() for k, v in model.head.named_buffers()}
    alone = make(three_d, adaptations={})
    alone.load_state_dict(model.state_dict())
    for name, buffer in alone.head.named_buffers():
        buffer.copy_(buffers[name])
    count = COUNTS["source"]
    source = gradients(alone, alone.loss(images[:count], samples[:count]), alone.head)
    for name, gradient in source.items():
        assert torch.equal(aligned[name], gradient), name  # bit for bit
    for name, buffer in alone.head.named_buffers():  # and so are the statistics
        assert torch.equal(after[name], buffer), name
    assert any(gradient.abs().sum() > 0 for gradient in source.values())


@pytest.mark.parametrize("three_d", [False, True], ids=["2d", "3d"])
def test_encoder_learns_from_all_as_in_two_passes(three_d):
    model = make(three_d, pseudo_loss_weight=0.5)
    images, samples = make_batch(three_d)
    other = make(three_d, adaptations={}, pseudo_loss_weight=0.5)
    other.load_state_dict(model.state_dict())
    found = gradients(model, model.loss(images, samples), model.backbone)

    # The source through the head, the target through a copy of it that is a constant.
    source, target = slice(0, 4), slice(4, 7)
    feats = other.student.extract_feat(images)
    own = other.head.loss(
        map_tensors(lambda x: x[source], feats), samples[source], train_cfg={}
    )
    constant = {k: v.detach().clone() for k, v in other.head.state_dict().items()}
    head = make(three_d, adaptations={}).head
    head.eval()
    part = map_tensors(lambda x: x[target], feats)
    forward = head.forward
    head.forward = lambda _: functional_call(_Forward(forward, head), constant, (part,))
    fixed = head.loss(part, samples[target], train_cfg={})
    other.zero_grad()
    (own["loss_kpt"] + 0.5 * fixed["loss_kpt"]).backward()
    for name, parameter in other.backbone.named_parameters():
        torch.testing.assert_close(found[name], parameter.grad, rtol=1e-4, atol=1e-7)


class _Forward(torch.nn.Module):
    """Calls a head's own forward with the parameters of ``functional_call``."""

    def __init__(self, forward, head):
        super().__init__()
        self._call = forward
        for name, child in head.named_children():
            self.add_module(name, child)

    def forward(self, feats):
        return self._call(feats)


@pytest.mark.parametrize("statistics", ["shared", "domain"])
def test_features_inside_the_head_are_those_of_both_passes(statistics, monkeypatch):
    """The labeled images' from the head that learns, the target's from the constant."""
    name = "head.deconv_layers"
    reader = dict(type="FeatureAlignment", feature=name, in_channels=64)
    model = make(False, dict(DFA, dan=reader), statistics=statistics)
    images, samples = make_batch(False, dict(source=4, target_unlabeled=3))
    seen = []
    loss = type(model.adaptations["dan"]).loss

    def note(adaptation, batch):
        seen.append(batch.features[name])
        return loss(adaptation, batch)

    monkeypatch.setattr(type(model.adaptations["dan"]), "loss", note)
    model.loss(images, samples)
    [found] = seen
    # The target's features train the encoder alone.
    found[4:].square().sum().backward()
    assert all(p.grad is None or not p.grad.any() for p in model.head.parameters())
    assert model.backbone.conv1.weight.grad.any()
    with torch.no_grad():
        (feats,) = model.student.extract_feat(images)
        # The constant decoder has the running statistics after the labeled images.
        fixed = model.head.deconv_layers.eval()(feats[4:])
        own = model.head.deconv_layers.train()(feats[:4])
    torch.testing.assert_close(found[:4], own)
    torch.testing.assert_close(found[4:], fixed)


def test_only_labeled_images_is_the_stock_head():
    model = make(False, DFA)
    images, samples = make_batch(False, dict(source=4))
    with pytest.raises(ValueError, match="DomainFeatureAlignment needs .*unsupervised"):
        model.loss(images, samples)


def test_two_adaptations_cannot_run_the_head():
    twice = dict(DFA, again=dict(type="DomainFeatureAlignment"))
    with pytest.raises(ValueError, match=r"\['dfa', 'again'\] each run the head"):
        make(False, twice)


def test_unknown_statistics():
    with pytest.raises(ValueError, match="statistics='none'"):
        make(False, dict(dfa=dict(type="DomainFeatureAlignment", statistics="none")))


def test_head_is_as_before_after_the_step():
    model = make(True)
    modes = [m.training for m in model.head.modules()]
    model.loss(*make_batch(True))
    assert modes == [m.training for m in model.head.modules()]
    assert isinstance(model.head.decoder, MarginalHeatmap)
    assert build(adaptations=DFA).head.training


def test_a_rank_without_labels_has_zero_gradients_of_the_head():
    model = make(True)
    images, samples = make_batch(True)
    batch = DomainBatch(samples[7:], images[7:])
    feats = model.student.extract_feat(batch.images)
    [outputs] = model.adaptations["dfa"].run_head(model.head, feats, batch)
    sum(x.square().sum() for x in outputs).backward()
    for name, parameter in model.head.named_parameters():
        assert parameter.grad is not None and not parameter.grad.any(), name
    assert model.backbone.conv1.weight.grad.any()
