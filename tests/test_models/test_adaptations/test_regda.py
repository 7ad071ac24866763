"""RegDA against its formulas, and one backward pass against the paper's three steps."""

import math

import numpy as np
import pytest
import torch
from mmengine.logging import MessageHub
from tiny_model import REGDA_HEAD, batch, build
from torch import nn

from mmpose_da.engine import EMATeacherHook

COUNTS = dict(source=3, target_unlabeled=4)
MARGIN, GRADIENT = 4.0, 0.3


def make(statistics="domain", **kwargs):
    """In float64, with regressors that differ, and that predict different joints."""
    torch.manual_seed(0)
    model = build(
        head=REGDA_HEAD,
        joints="MpiiDataset",
        statistics=statistics,
        adaptations=dict(
            regda=dict(type="RegDA", margin=MARGIN, gradient=GRADIENT) | kwargs
        ),
    )
    with torch.no_grad():
        for regressor in (*main_of(model), model.adaptations["regda"].regressor):
            for parameter in regressor.parameters():
                if parameter.dim() > 1:
                    parameter.normal_(std=0.2)
    return model.double().train()


def make_batch(**counts):
    torch.manual_seed(1)
    images, samples = batch(**(counts or COUNTS))
    for sample in samples:
        if "gt_fields" in sample:
            sample.gt_fields.heatmaps = sample.gt_fields.heatmaps.double()
    return images.double(), samples


def main_of(model):
    return model.head.conv_layers, model.head.final_layer


def features_of(model, images):
    return model.head.deconv_layers(model.backbone(images)[-1])


def groups_of(model):
    """Parameters of the features, the main, and the adversarial regressor."""
    features = [*model.backbone.parameters(), *model.head.deconv_layers.parameters()]
    main = [p for module in main_of(model) for p in module.parameters()]
    adversarial = list(model.adaptations["regda"].regressor.parameters())
    assert len(features) + len(main) + len(adversarial) == len(list(model.parameters()))
    return features, main, adversarial


def divergence(logits, heatmaps, weights=None):
    """KL of normalized heatmaps from the softmax, written out once more."""
    y = heatmaps.flatten(2) / heatmaps.flatten(2).sum(-1, keepdim=True)
    p = logits.flatten(2).exp() / logits.flatten(2).exp().sum(-1, keepdim=True)
    terms = torch.where(y > 0, y * (y.clamp(min=1e-300) / p).log(), 0.0).sum(-1)
    return (terms if weights is None else terms * weights).mean()


def slow_targets(logits, sigma=2):
    """Y and Y_false, pixel by pixel."""
    logits = logits.detach().numpy()
    count, joints, height, width = logits.shape
    truth = np.zeros(logits.shape)
    for b, k in np.ndindex(count, joints):
        top, left = np.unravel_index(logits[b, k].argmax(), (height, width))
        for y, x in np.ndindex(height, width):
            square = (y - top) ** 2 + (x - left) ** 2
            truth[b, k, y, x] = math.exp(-square / (2 * sigma**2))
    false = np.zeros(logits.shape)
    for b, k in np.ndindex(count, joints):
        others = sum(truth[b, other] for other in range(joints) if other != k)
        false[b, k] = np.clip(others, 0, 1)
    return torch.from_numpy(truth), torch.from_numpy(false)


class Steps:
    """The paper's losses (A), (B), and (C), each with a forward pass of its own."""

    def __init__(self, model, images, samples):
        self.model = model
        self.regressor = model.adaptations["regda"].regressor
        count = COUNTS["source"]
        self.source, self.target = images[:count], images[count:]
        samples = samples[:count]
        self.labels = torch.stack([s.gt_fields.heatmaps for s in samples])
        self.weights = torch.cat(
            [s.gt_instance_labels.keypoint_weights for s in samples]
        )

    def forward(self, images):
        """Logits of both regressors; the gradient of the second to f is scaled."""
        features = features_of(self.model, images)
        scaled = GRADIENT * features + ((1 - GRADIENT) * features).detach()
        convolutions, final = main_of(self.model)
        return final(convolutions(features)), self.regressor(scaled)

    def a(self):
        main, adversarial = self.forward(self.source)
        truth, _ = slow_targets(main)
        return divergence(main, self.labels, self.weights) + MARGIN * divergence(
            adversarial, truth, self.weights
        )

    def b(self):
        main, adversarial = self.forward(self.target)
        return divergence(adversarial, slow_targets(main)[1])

    def c(self):
        main, adversarial = self.forward(self.target)
        return divergence(adversarial, slow_targets(main)[0])


def total_loss(model, images, samples):
    losses = model.loss(images, samples)
    return sum(value for name, value in losses.items() if "loss" in name)


def gradient_of(loss, parameters):
    return torch.autograd.grad(loss, parameters)


def assert_close(found, expected):
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-7, atol=1e-12)


def test_targets_equal_slow_computation():
    model = make()
    logits = torch.randn(3, 16, 12, 9, dtype=torch.float64)
    for found, expected in zip(
        model.adaptations["regda"].targets(logits), slow_targets(logits), strict=True
    ):
        torch.testing.assert_close(found, expected)
    assert expected.max() == 1  # it is clipped


def test_terms_are_those_of_the_paper():
    model, data = make(), make_batch()
    steps = Steps(model, *data)
    losses = model.loss(*data)
    of_step_a = losses["source.loss_kpt"] + losses["regda.loss_source"]
    torch.testing.assert_close(of_step_a, steps.a())
    torch.testing.assert_close(losses["regda.loss_false"], steps.b())
    torch.testing.assert_close(losses["regda.loss_true"], steps.c())
    assert {name for name in losses if "loss" in name} == {
        *("source.loss_kpt", "regda.loss_source"),
        *("regda.loss_false", "regda.loss_true"),
    }


def test_one_backward_pass_has_the_gradients_of_three_steps():
    model, data = make(), make_batch()
    features, main, adversarial = groups_of(model)
    steps = Steps(model, *data)
    everything = [*features, *main, *adversarial]
    of_a = gradient_of(steps.a(), everything)
    of_b = gradient_of(steps.b(), adversarial)
    of_c = gradient_of(steps.c(), features)
    first, second = len(features), len(features) + len(main)
    expected = [
        *(a + c for a, c in zip(of_a[:first], of_c, strict=True)),
        *of_a[first:second],
        *(a + b for a, b in zip(of_a[second:], of_b, strict=True)),
    ]
    assert_close(gradient_of(total_loss(model, *data), everything), expected)
    for part in (of_a, of_b, of_c):  # and none of them is idle
        assert all(gradient.isfinite().all() for gradient in part)
        assert sum(gradient.norm() for gradient in part) > 1e-3


def smooth(model):
    """Without kinks, so that the gradient of a step is that of the next, nearly."""
    for module in list(model.modules()):
        for name, child in module.named_children():
            if isinstance(child, nn.ReLU):
                setattr(module, name, nn.Softplus())
            if isinstance(child, nn.MaxPool2d):
                setattr(module, name, nn.AvgPool2d(2))
    return model


def test_updates_differ_from_three_steps_in_second_order():
    """A tenth of the learning rate, a hundredth of the difference."""

    def after_an_iteration(lr, in_three_steps):
        model, data = smooth(make()), make_batch()
        features, main, adversarial = groups_of(model)
        steps = Steps(model, *data)
        everything = [*features, *main, *adversarial]

        def step(loss, parameters):
            for p, grad in zip(parameters, gradient_of(loss, parameters), strict=True):
                p.data.sub_(lr * grad)

        if in_three_steps:
            step(steps.a(), everything)
            step(steps.b(), adversarial)
            step(steps.c(), features)
        else:
            step(total_loss(model, *data), everything)
        return torch.cat([p.detach().flatten() for p in everything])

    differences = [
        (after_an_iteration(lr, True) - after_an_iteration(lr, False)).norm()
        for lr in (1e-7, 1e-8)
    ]
    assert differences[0] > 0
    assert (differences[0] / differences[1]).item() == pytest.approx(100, rel=0.02)


def test_the_main_regressor_learns_from_labels_alone():
    model, data = make(), make_batch()
    losses = model.loss(*data)
    adversarial = sum(v for k, v in losses.items() if k.startswith("regda.loss"))
    _, main, _ = groups_of(model)
    found = torch.autograd.grad(adversarial, main, allow_unused=True)
    assert all(gradient is None for gradient in found)


def test_gradient_ramps_up_as_in_the_code_of_the_paper():
    """2 h / (1 + exp(-i / 1000)) - h, which 1,000 of 15,000 iterations give."""
    ramp = dict(curve="sigmoid", end=2 / 3)
    adaptation = make(gradient=0.1, rampup=ramp).adaptations["regda"]
    hub = MessageHub.get_current_instance()
    hub.update_info("max_iters", 15000)
    for iteration in (0, 1, 500, 1000, 5000, 9999):
        hub.update_info("iter", iteration)
        published = 2 * 0.1 / (1 + math.exp(-iteration / 1000)) - 0.1
        assert adaptation.ramped(0.1) == pytest.approx(published, rel=1e-9)
    hub.update_info("iter", 14999)
    assert adaptation.ramped(0.1) == pytest.approx(0.1, rel=1e-4)


def test_at_the_start_of_a_ramp_features_learn_from_labels_alone():
    MessageHub.get_current_instance().update_info("iter", 0)
    model, data = make(rampup=dict(end=10)), make_batch()
    losses = model.loss(*data)
    features, _, adversarial = groups_of(model)
    disparity = losses["regda.loss_source"] + losses["regda.loss_true"]
    assert not any(g.any() for g in gradient_of(disparity, features))
    losses = model.loss(*data)
    # The adversarial regressor learns at full strength.
    assert all(
        g.any() for g in gradient_of(losses["regda.loss_source"], adversarial)[:1]
    )


def test_weight_is_the_trade_off():
    data = make_batch()
    losses, halved = make().loss(*data), make(weight=0.5).loss(*data)
    for name in ("loss_source", "loss_false", "loss_true"):
        name = f"regda.{name}"
        torch.testing.assert_close(halved[name], 0.5 * losses[name])
    assert halved["source.loss_kpt"] == losses["source.loss_kpt"]


def test_regressors_have_one_shape_and_different_weights():
    _, main, adversarial = groups_of(make())
    assert [p.shape for p in main] == [p.shape for p in adversarial]
    assert not torch.equal(main[0], adversarial[0])


@pytest.mark.parametrize(
    "counts", [dict(source=3), dict(target_unlabeled=3), dict(target_labeled=3)]
)
def test_a_rank_without_one_of_the_domains(counts):
    model = make()
    adaptation = model.adaptations["regda"]
    adaptation.needs = ()  # other ranks have them
    losses = model.loss(*make_batch(**counts))
    absent = ["source"] if "source" not in counts else ["false", "true"]
    for name in absent:
        assert losses[f"regda.loss_{name}"] == 0
    total = sum(v for k, v in losses.items() if "loss" in k)
    total.backward()
    grads = [p.grad for p in model.parameters()]
    assert all(grad is not None and grad.isfinite().all() for grad in grads)


def test_deployed_network_is_that_of_the_head():
    model = make()
    keys = model.student.state_dict().keys()
    assert not any(key.startswith("adaptations") for key in keys)
    two_layers = dict(conv_out_channels=(32,), conv_kernel_sizes=(3,))
    stock = build(type="TopdownPoseEstimator", head=two_layers).double()
    stock.load_state_dict(model.student.state_dict(), strict=True)
    images, _ = make_batch(source=2)
    with torch.no_grad():
        found, expected = model.eval()(images, None), stock.eval()(images, None)
    assert torch.equal(found, expected)


def test_impossible_arguments():
    with pytest.raises(ValueError, match="margin"):
        make(margin=-1)
    with pytest.raises(ValueError, match="gradient"):
        make(gradient="much")
    with pytest.raises(ValueError, match="model.head.type='LogitHeatmapHead'"):
        build(joints="MpiiDataset", adaptations=dict(regda=dict(type="RegDA")))


def test_terms_in_half_precision():
    torch.manual_seed(1)
    model, data = make().float(), batch(**COUNTS)
    expected = model.loss(*data)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        losses = model.loss(*data)
    for name in (name for name in losses if "loss" in name):
        assert losses[name].dtype == torch.float32
        torch.testing.assert_close(
            losses[name], expected[name], rtol=0.1, atol=0.02, msg=name
        )


def test_trains_beside_a_mean_teacher():
    torch.manual_seed(0)
    adaptations = dict(
        regda=dict(type="RegDA"),
        mt=dict(type="MeanTeacher", share=0.5, student_view=dict(type="RandomView")),
    )
    model = build(joints="MpiiDataset", head=REGDA_HEAD, adaptations=adaptations)
    EMATeacherHook().update(model)
    losses = model.loss(*batch(**COUNTS))
    assert losses["mt.loss"] > 0 and 0 < losses["mt.confidence"] <= 1
    total, _ = model.parse_losses(losses)
    total.backward()
    grads = [p.grad for p in model.parameters() if p.requires_grad]
    assert all(grad is not None and grad.isfinite().all() for grad in grads)
