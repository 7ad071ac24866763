import numpy as np
import pytest
import torch
from mmpose.registry import MODELS
from torch.autograd import gradcheck

from mmpose_da.models.styles import (
    AdaINStyle,
    VGGDecoder,
    VGGEncoder,
    adain,
    channel_statistics,
)

EPS = 1e-5


def images(count: int, size: int = 16, seed: int = 0) -> torch.Tensor:
    return torch.rand(count, 3, size, size, generator=torch.manual_seed(seed))


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory) -> str:
    """A checkpoint of a decoder run, which contains the encoder."""
    torch.manual_seed(0)
    state = {f"encoder.{k}": v for k, v in VGGEncoder().state_dict().items()}
    decoder = VGGDecoder()
    for parameter in decoder.parameters():
        torch.nn.init.normal_(parameter, std=0.03)
    decoder[-1].bias.data.fill_(0.5)
    state.update({f"decoder.{k}": v for k, v in decoder.state_dict().items()})
    path = tmp_path_factory.mktemp("adain") / "iter_3.pth"
    torch.save(dict(meta={}, state_dict=state), path)
    return str(path)


@pytest.fixture
def style(checkpoint) -> AdaINStyle:
    cfg = dict(type="AdaINStyle", encoder=checkpoint, decoder=checkpoint)
    return MODELS.build(cfg)


def slow_adain(content, style):
    result = np.zeros_like(content)
    for b, c in np.ndindex(content.shape[:2]):
        x, y = content[b, c], style[b, c]
        moments = []
        for values in (x.ravel(), y.ravel()):
            mean = sum(values) / len(values)
            variance = sum((v - mean) ** 2 for v in values) / len(values)
            moments.append((mean, (variance + EPS) ** 0.5))
        (mean_x, std_x), (mean_y, std_y) = moments
        for i, j in np.ndindex(x.shape):
            result[b, c, i, j] = std_y * (x[i, j] - mean_x) / std_x + mean_y
    return result


def test_adain_equals_slow_computation():
    rng = np.random.default_rng(0)
    content, style = rng.normal(size=(2, 3, 4, 5)), rng.gamma(2, size=(2, 3, 6, 3))
    result = adain(torch.from_numpy(content), torch.from_numpy(style), EPS)
    np.testing.assert_allclose(result, slow_adain(content, style))


def test_gradients_of_adain_and_of_flat_channels():
    rng = np.random.default_rng(1)
    features = [
        torch.from_numpy(rng.normal(size=(1, 2, 3, 3))).requires_grad_()
        for _ in range(2)
    ]
    assert gradcheck(adain, features)
    flat = torch.ones(1, 2, 3, 3, requires_grad=True)
    result = adain(flat, features[0].detach().float())
    result.sum().backward()
    assert result.isfinite().all() and flat.grad.isfinite().all()


def test_statistics_of_half_precision_are_taken_in_float32():
    features = torch.full((1, 1, 32, 32), 300.0, dtype=torch.float16)
    features[..., ::2] = 302
    mean, std = channel_statistics(features)  # the squares are beyond float16
    assert mean.dtype == std.dtype == torch.float32
    assert (mean.item(), std.item()) == (301, pytest.approx(1, abs=1e-4))


def test_strength_blends_features(style, checkpoint):
    content, other = images(3), images(3, seed=1)
    strength = torch.tensor([0.3, 1.0, 0.0])
    result = style(content, other, strength)

    state = torch.load(checkpoint)["state_dict"]
    encoder, decoder = VGGEncoder(), VGGDecoder()
    for name, part in (("encoder.", encoder), ("decoder.", decoder)):
        part.load_state_dict(
            {k[len(name) :]: v for k, v in state.items() if k.startswith(name)}
        )
    with torch.no_grad():
        z, z_style = encoder(content)[-1], encoder(other)[-1]
        moved = torch.from_numpy(slow_adain(z.numpy(), z_style.numpy()))
        blended = decoder(0.7 * z[:1] + 0.3 * moved[:1]).clamp(0, 1)
        full = decoder(moved[1:2]).clamp(0, 1)
    torch.testing.assert_close(result[:1], blended, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(result[1:2], full, atol=1e-4, rtol=1e-4)
    assert torch.equal(result[2], content[2])
    assert full.std() > 0.01  # not an image of one color
    assert not torch.allclose(result[0], content[0], atol=0.05)


def test_the_style_decides(style):
    content, strength = images(1).repeat(2, 1, 1, 1), torch.ones(2)
    result = style(content, torch.cat([images(1, seed=1), images(1, seed=2)]), strength)
    assert not torch.equal(result[0], result[1])
    own = style(content[:1], content[:1], strength[:1])
    faint = style(content[:1], images(1, seed=1), torch.full((1,), 1e-6))
    torch.testing.assert_close(own, faint, atol=1e-3, rtol=0)  # its reconstruction


def test_networks_are_fixed_and_not_saved(style):
    content = images(1).requires_grad_()
    assert not style.train()(content, images(1, seed=1), torch.ones(1)).requires_grad
    assert not style.state_dict() and not list(style.parameters())
    for network in style._networks:
        assert not network.training
        assert not any(p.requires_grad for p in network.parameters())


def test_under_autocast(style):
    arguments = images(2), images(2, seed=1), torch.tensor([0.5, 1.0])
    with torch.autocast("cpu", torch.bfloat16):
        low = style(*arguments)
    assert low.dtype == torch.float32
    torch.testing.assert_close(low, style(*arguments), atol=0.05, rtol=0)


@pytest.mark.parametrize("decoder", [None, "nowhere/iter_1.pth"])
def test_missing_decoder_says_how_to_train_one(decoder):
    style = AdaINStyle(decoder=decoder)  # a model can be built without it
    with pytest.raises(FileNotFoundError, match="configs/style/adain_coco2mpii.py"):
        style(images(1), images(1), torch.ones(1))


def test_checkpoints_that_do_not_fit(checkpoint, tmp_path):
    state = torch.load(checkpoint)["state_dict"]
    encoder = {k: v for k, v in state.items() if k.startswith("encoder")}
    torch.save(encoder, tmp_path / "encoder.pth")
    with pytest.raises(ValueError, match="has no decoder"):
        AdaINStyle(None, str(tmp_path / "encoder.pth")).load()
    other = {k: v + 1 for k, v in encoder.items()}
    torch.save(other, tmp_path / "other.pth")
    with pytest.raises(ValueError, match="another encoder"):
        AdaINStyle(str(tmp_path / "other.pth"), checkpoint).load()
