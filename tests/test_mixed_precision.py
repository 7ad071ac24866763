"""Autocast: every method trains, and what needs float32 is computed in it."""

import pytest
import torch
from mmpose.registry import MODELS
from tiny_model import batch, build, mark_parts
from torch.nn import functional as F

from mmpose_da.engine import EMATeacherHook
from mmpose_da.models.adaptations import IHTA, ISA, FeatureAlignment
from mmpose_da.models.heads import TopologyHead
from mmpose_da.models.layers import (
    KeypointOcclusion,
    RandomView,
    View,
    gaussian_heatmaps,
    heatmap_peaks,
    keypoint_confidence,
    keypoint_features,
    warp,
    warp_points,
)
from mmpose_da.models.losses import (
    AdversarialLoss,
    ConsistencyLoss,
    EntropyLoss,
    IHTALoss,
    InfoMaxLoss,
    ISALoss,
    KeypointKLLoss,
    MMDLoss,
    pose_similarity,
)
from mmpose_da.models.necks import CAFANeck
from mmpose_da.models.styles import (
    ColorStatisticsStyle,
    FourierStyle,
    VGGDecoder,
    adain,
)
from mmpose_da.structures import DomainBatch, joint_definition

MPII = joint_definition("MpiiDataset")
COUNTS = dict(source=4, target_labeled=2, target_unlabeled=4)

STRONG_VIEW = dict(
    type="RandomView",
    rotation=30,
    scale=(0.75, 1.25),
    shear=10,
    translation=0.05,
    flip_prob=0.5,
    brightness=0.3,
    contrast=0.3,
    saturation=0.3,
    hue=0.05,
    blur=(0, 1),
)


def style(type_: str, **kwargs) -> dict:
    return dict(
        type="StyleTransfer",
        style=dict(type=type_, **kwargs),
        share=1.0,
        teacher_share=1.0,
    )


def adversarial(discriminator: str, **kwargs) -> dict:
    return dict(
        type="DomainAdversarial", discriminator=dict(type=discriminator), **kwargs
    )


LOCAL = adversarial(
    "LocalDomainDiscriminator", loss=dict(type="AdversarialLoss", mode="least_squares")
)
FOCAL = adversarial(
    "GlobalDomainDiscriminator", loss=dict(type="AdversarialLoss", mode="focal")
)
TEACHER = dict(type="MeanTeacher", student_view=STRONG_VIEW, share=0.5)
AVERAGED = dict(
    TEACHER, teacher_view=STRONG_VIEW, teacher_views=2, share_of="all", gamma=0
)
WARPED = dict(TEACHER, pseudo_heatmaps="warped", occlusion=dict(prob=0.5))
SHIFT = dict(
    cafa=dict(type="CAFA"),
    isa=dict(type="ISA"),
    ihta=dict(type="IHTA"),
    entropy=dict(
        type="EntropyMinimization", loss=dict(type="EntropyLoss", temperature=0.1)
    ),
)
INFO_MAX = dict(
    type="InformationMaximization", loss=dict(type="InfoMaxLoss", temperature=0.1)
)

#: Adaptations by method; together they have everything that can be in a config.
METHODS = dict(
    dan=dict(dan=dict(type="FeatureAlignment")),
    strong_weak=dict(local=LOCAL, focal=FOCAL),
    cafa=dict(cafa=SHIFT["cafa"]),
    isa=dict(isa=SHIFT["isa"]),
    ihta=dict(ihta=SHIFT["ihta"]),
    entropy=dict(entropy=SHIFT["entropy"]),
    human_level_shift=SHIFT,
    info_max=dict(info_max=INFO_MAX),
    mean_teacher=dict(mean_teacher=TEACHER),
    multi_level=dict(
        style=style("FourierStyle"),
        mean_teacher=TEACHER,
        adversarial=adversarial("GlobalDomainDiscriminator"),
        info_max=INFO_MAX,
    ),
    colors=dict(style=style("ColorStatisticsStyle"), mean_teacher=WARPED),
    adain=dict(style=style("AdaINStyle", encoder=None), mean_teacher=WARPED),
    dfa=dict(dfa=dict(type="DomainFeatureAlignment"), mean_teacher=TEACHER),
    parts=dict(parts=dict(type="PartClassification"), mean_teacher=TEACHER),
    best=dict(patches=dict(type="PastedPatches"), mean_teacher=TEACHER),
    uniframe=dict(
        source_view=dict(type="LabeledViews", view=STRONG_VIEW), mean_teacher=AVERAGED
    ),
)


@pytest.fixture(scope="module")
def decoder(tmp_path_factory) -> str:
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("adain") / "decoder.pth"
    torch.save(VGGDecoder().state_dict(), path)
    return str(path)


def make_model(method: str):
    torch.manual_seed(0)
    model = build(joints="MpiiDataset", adaptations=METHODS[method])
    EMATeacherHook().update(model)
    return model


def autocast(enabled: bool = True) -> torch.autocast:
    return torch.autocast("cpu", torch.bfloat16, enabled=enabled)


def step(model, half: bool) -> tuple[dict, torch.Tensor]:
    """Terms and gradient of a training step, always on the same batch."""
    torch.manual_seed(1)
    images, samples = batch(**COUNTS)
    mark_parts(samples)
    with autocast(half):
        losses = model.loss(images, samples)
        total, _ = model.parse_losses(losses)
    model.zero_grad()
    total.backward()
    gradients = [p.grad.flatten() for p in model.parameters() if p.grad is not None]
    return losses, torch.cat(gradients)


@pytest.mark.parametrize("method", METHODS)
def test_a_step_is_that_of_full_precision(method, decoder):
    model = make_model(method)
    if method == "adain":
        model.adaptations["style"].style.decoder = decoder
    expected, expected_gradient = step(model, half=False)
    losses, gradient = step(model, half=True)
    assert losses.keys() == expected.keys()
    for name, value in losses.items():
        if "loss" in name:
            assert value.dtype == torch.float32, name
        assert value.isfinite(), name
    for name in (name for name in losses if "loss" in name):
        torch.testing.assert_close(
            losses[name], expected[name], rtol=0.05, atol=0.01, msg=name
        )
    assert gradient.isfinite().all()
    assert F.cosine_similarity(gradient, expected_gradient, dim=0) > 0.9


def test_the_methods_have_all_that_is_registered():
    used = {type(m).__name__ for name in METHODS for m in make_model(name).modules()}
    registered = {
        name
        for name, module in MODELS.module_dict.items()
        if module.__module__.startswith("mmpose_da.")
    }
    # They have tests of their own.
    others = {
        *("AdaINTrainer", "ImageAutoencoder", "MarginalHeatmapHead", "MarginalKLLoss"),
        *("EFASNet", "FeatureFusion", "DUC", "DUCHead"),
        *("LocationFreeHead", "LocationLoss"),
        *("LogitHeatmapHead", "KeypointKLLoss", "RegDA"),
    }
    assert registered - used == others


def normal(*shape: int):
    return lambda generator: torch.randn(shape, generator=generator)


def uniform(*shape: int):
    return lambda generator: torch.rand(shape, generator=generator)


def make(*inputs) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return [make_input(generator) for make_input in inputs]


MAPS = normal(3, 4, 8, 6)
#: Losses, and their inputs.
LOSSES = dict(
    bce=(AdversarialLoss(), normal(5, 1), normal(4, 1)),
    least_squares=(AdversarialLoss("least_squares"), normal(5, 1), normal(4, 1)),
    focal=(AdversarialLoss("focal"), normal(5, 1), normal(4, 1)),
    keypoint_kl=(KeypointKLLoss(), MAPS, uniform(3, 4, 8, 6), uniform(3, 4)),
    consistency=(ConsistencyLoss(), MAPS, MAPS, uniform(3, 4)),
    entropy=(EntropyLoss(), MAPS),
    info_max=(InfoMaxLoss(), MAPS),
    isa=(ISALoss(), MAPS, normal(2, 4, 8, 6)),
    ihta=(IHTALoss(share=0.5), normal(5, 4, 9), normal(6, 4, 9), uniform(5, 6)),
    similarity=(
        *(pose_similarity, normal(5, 4, 9), normal(6, 4, 9)),
        *(uniform(5, 4), uniform(6, 4)),
    ),
    mmd=(MMDLoss(), normal(6, 64), normal(5, 64)),
    linear_mmd=(MMDLoss(estimate="linear"), normal(6, 64), normal(5, 64)),
)


def scalar(result) -> torch.Tensor:
    return result["loss"] if isinstance(result, dict) else result


@pytest.mark.parametrize("name", LOSSES)
def test_losses_of_float16_do_not_overflow(name):
    loss, *inputs = LOSSES[name]
    values = [
        # All inputs except weights reach the largest representable numbers.
        (x if x.min() >= 0 else 3e4 * x.clamp(-2, 2)).half()
        for x in make(*inputs)
    ]
    assert max(x.abs().max() for x in values) > 5e4
    result = scalar(loss(*values))
    assert result.dtype == torch.float32
    expected = scalar(loss(*[x.double() for x in values]))
    torch.testing.assert_close(result.double(), expected, rtol=1e-4, atol=1e-5)


def views(generator) -> View:
    return RandomView(rotation=30, scale=(0.8, 1.2), flip_prob=0.5)(
        torch.rand(3, 3, 64, 64, generator=generator)
    )


def matrices(generator) -> torch.Tensor:
    torch.manual_seed(0)
    return views(generator).matrices


def pixels(generator) -> torch.Tensor:
    return 64 * torch.rand(3, 16, 2, generator=generator)


def trained_neck() -> CAFANeck:
    neck = CAFANeck(16)
    torch.nn.init.ones_(neck.source_strength)
    torch.nn.init.ones_(neck.target_strength)
    return neck


IMAGES = uniform(3, 3, 64, 64)
#: What else has to compute in float32.
LAYERS = dict(
    warp=(warp, MAPS, matrices),
    warp_points=(warp_points, pixels, matrices),
    view=(lambda crops: MODELS.build(STRONG_VIEW)(crops).images, IMAGES),
    matrices=(lambda crops: MODELS.build(STRONG_VIEW)(crops).matrices, IMAGES),
    way_between_views=(lambda a, b: a.to(b)[0], views, views),
    occlusion=(
        lambda images, points: KeypointOcclusion(0.5)(
            images, points, torch.ones(3, 16, dtype=torch.bool)
        ),
        *(IMAGES, pixels),
    ),
    peaks=(lambda maps: torch.cat(heatmap_peaks(maps)[:1]), MAPS),
    gaussians=(lambda points: gaussian_heatmaps(points, (64, 64), 2.0), pixels),
    keypoint_features=(keypoint_features, normal(3, 16, 4, 3), MAPS),
    keypoint_confidence=(keypoint_confidence, MAPS),
    topology=(
        TopologyHead(16, 16, MPII["skeleton_links"], channels=16),
        normal(5, 16, 16),
    ),
    readout=(
        TopologyHead(16, 16, MPII["skeleton_links"], channels=16).readout,
        normal(5, 16, 64),
    ),
    cafa=(
        lambda *maps: torch.cat(trained_neck()(*maps)),
        *(normal(2, 16, 6, 4), normal(3, 16, 6, 4)),
    ),
    adain=(adain, MAPS, MAPS),
    fourier=(FourierStyle(0.1), IMAGES, IMAGES, uniform(3)),
    colors=(ColorStatisticsStyle(), IMAGES, IMAGES, uniform(3)),
)


@pytest.mark.parametrize("name", [*LOSSES, *LAYERS])
def test_autocast_changes_nothing(name):
    function, *inputs = (LOSSES | LAYERS)[name]
    values = make(*inputs)

    def compute(half: bool) -> torch.Tensor:
        torch.manual_seed(0)
        with autocast(half):
            return scalar(function(*values))

    assert torch.equal(compute(True), compute(False))


@pytest.mark.parametrize(
    "adaptation",
    [
        FeatureAlignment(),
        FeatureAlignment(sample="position"),
        ISA(),
        ISA(compare="feature"),
        IHTA(in_channels=8, metainfo=MPII).eval(),
    ],
    ids=["image", "position", "heatmap", "feature", "ihta"],
)
def test_half_precision_features_lose_nothing_more(adaptation):
    """The terms are those of the same numbers in float32."""
    torch.manual_seed(0)
    images, samples = batch(**COUNTS)
    features = torch.randn(10, 8, 4, 4).bfloat16()
    heatmaps = torch.rand(10, 16, 16, 16).bfloat16()

    def terms(features, heatmaps):
        torch.manual_seed(0)
        with autocast():
            return adaptation(
                DomainBatch(
                    samples, images, dict(head=features), maps=dict(xy=heatmaps)
                )
            )

    half, full = terms(features, heatmaps), terms(features.float(), heatmaps.float())
    for name, value in full.items():
        assert torch.equal(half[name], value), name
