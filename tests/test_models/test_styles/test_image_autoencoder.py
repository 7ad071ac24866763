import pytest
import torch
from mmpose.registry import MODELS
from mmpose.structures import PoseDataSample

from mmpose_da.models.styles import AdaINStyle, AdaINTrainer, ImageAutoencoder

CHANNELS = (8, None, 12)
PREPROCESSOR = dict(
    type="PoseDataPreprocessor",
    mean=[123.675, 116.28, 103.53],
    std=[58.395, 57.12, 57.375],
    bgr_to_rgb=True,
)


def data(**counts: int) -> dict:
    """A batch as the data loader gives it: BGR from 0 to 255."""
    samples = [
        PoseDataSample(metainfo=dict(domain=domain))
        for domain, count in counts.items()
        for _ in range(count)
    ]
    torch.manual_seed(0)
    inputs = [torch.randint(0, 256, (3, 16, 16)).byte() for _ in samples]
    return dict(inputs=inputs, data_samples=samples)


def losses(model, batch: dict, mode: str = "loss"):
    return model(**model.data_preprocessor(batch), mode=mode)


def build() -> ImageAutoencoder:
    torch.manual_seed(0)
    cfg = dict(type="ImageAutoencoder", channels=CHANNELS)
    return MODELS.build(dict(cfg, data_preprocessor=PREPROCESSOR))


def test_loss_is_the_error_of_colors():
    model, batch = build(), data(source=1, target_unlabeled=2)
    rgb = torch.stack(batch["inputs"]).flip(1) / 255
    pixels, result = losses(model, batch, "tensor")
    torch.testing.assert_close(pixels, rgb, atol=1e-5, rtol=0)
    by_hand = model.decoder(model.encoder(rgb)[-1]).detach()
    torch.testing.assert_close(
        result.detach(), by_hand.clamp(0, 1), atol=1e-5, rtol=1e-4
    )
    loss = losses(model, batch)["loss"]
    torch.testing.assert_close(loss.detach(), ((by_hand - rgb) ** 2).mean())
    loss.backward()
    assert all(p.grad is not None for p in model.parameters())
    with pytest.raises(ValueError, match="neither 'loss' nor 'tensor'"):
        losses(model, batch, "predict")


def test_it_learns_to_reproduce_images():
    model, batch = build(), data(source=2, target_unlabeled=2)
    for image in batch["inputs"]:  # smooth images
        image.copy_(torch.linspace(0, 255, 16).byte().expand(3, 16, 16))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    values = []
    for _ in range(60):
        loss = losses(model, batch)["loss"]
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        values.append(loss.item())
    assert values[-1] < 0.1 * values[0]


def test_its_checkpoint_is_the_encoder_and_the_start_of_adain(tmp_path):
    path = str(tmp_path / "autoencoder.pth")
    model = build()
    torch.save(dict(state_dict=model.state_dict()), path)
    trainer = AdaINTrainer(path, CHANNELS, data_preprocessor=PREPROCESSOR)
    trainer.init_weights()
    trainer.load_state_dict(torch.load(path)["state_dict"])
    for own, given in zip(trainer.parameters(), model.parameters(), strict=True):
        assert torch.equal(own, given)
    assert not any(p.requires_grad for p in trainer.encoder.parameters())
    losses(trainer, data(source=1, target_unlabeled=1))["loss_style"].backward()

    decoder = str(tmp_path / "adain.pth")
    torch.save(dict(state_dict=trainer.state_dict()), decoder)
    style = AdaINStyle(path, decoder, CHANNELS)
    images = torch.rand(2, 3, 16, 16)
    styled = style(images, images.flip(0), torch.tensor([0.0, 1.0]))
    assert torch.equal(styled[0], images[0]) and not torch.equal(styled[1], images[1])
    with pytest.raises(ValueError, match="does not have channels|no weights"):
        AdaINStyle(path, decoder, (8, None, 16))(images, images, torch.ones(2))


def test_half_precision():
    model, batch = build(), data(source=1, target_unlabeled=1)
    expected = losses(model, batch)["loss"].detach()
    with torch.autocast("cpu", torch.bfloat16):
        loss = losses(model, batch)["loss"]
    assert loss.dtype == torch.float32
    torch.testing.assert_close(loss.detach(), expected, rtol=0.05, atol=1e-3)
    loss.backward()
    assert all(p.grad.isfinite().all() for p in model.parameters())
