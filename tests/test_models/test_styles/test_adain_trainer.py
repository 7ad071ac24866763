import json
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.runner import Runner
from mmpose.registry import MODELS
from mmpose.structures import PoseDataSample

from mmpose_da.models.styles import (
    AdaINStyle,
    AdaINTrainer,
    ImageAutoencoder,
    VGGEncoder,
)
from mmpose_da.structures import DomainBatch

CONFIGS = sorted((Path(__file__).parents[3] / "configs/style").glob("*.py"))
PREPROCESSOR = dict(
    type="PoseDataPreprocessor",
    mean=[123.675, 116.28, 103.53],
    std=[58.395, 57.12, 57.375],
    bgr_to_rgb=True,
)


def build(**kwargs) -> AdaINTrainer:
    torch.manual_seed(0)
    cfg = dict(type="AdaINTrainer", encoder=None, data_preprocessor=PREPROCESSOR)
    return MODELS.build(cfg | kwargs)


def data(size: int = 16, **counts: int) -> dict:
    """A batch as the data loader gives it: BGR from 0 to 255."""
    samples = [
        PoseDataSample(metainfo=dict(domain=domain))
        for domain, count in counts.items()
        for _ in range(count)
    ]
    generator = torch.manual_seed(0)
    inputs = torch.randint(
        0, 256, (len(samples), 3, size, size), dtype=torch.uint8, generator=generator
    )
    return dict(inputs=list(inputs), data_samples=samples)


def losses(model: AdaINTrainer, batch: dict, mode: str = "loss"):
    return model(**model.data_preprocessor(batch), mode=mode)


def test_partners_are_of_the_other_domain():
    batch = data(source=2, target_labeled=1, target_unlabeled=2)
    mixed = DomainBatch(batch["data_samples"], torch.stack(batch["inputs"]))
    assert AdaINTrainer.partners(mixed).tolist() == [2, 3, 0, 1, 0]
    batch = data(source=3, target_unlabeled=1)
    mixed = DomainBatch(batch["data_samples"], torch.stack(batch["inputs"]))
    assert AdaINTrainer.partners(mixed).tolist() == [3, 3, 3, 0]


def test_pictures_are_of_colors_whatever_the_preprocessing():
    batch = data(source=1, target_unlabeled=1)
    content, style, result = losses(build(), batch, "tensor")
    rgb = torch.stack(batch["inputs"]).flip(1) / 255
    torch.testing.assert_close(content, rgb, atol=1e-5, rtol=0)
    torch.testing.assert_close(style, rgb.flip(0), atol=1e-5, rtol=0)
    assert result.shape == rgb.shape and 0 <= result.min() <= result.max() <= 1


def test_losses_equal_slow_computation():
    model, batch = build(style_weight=3.0), data(source=1, target_unlabeled=1)
    terms = losses(model, batch)

    def moments(channel):
        mean = channel.mean()
        return mean, np.sqrt(((channel - mean) ** 2).mean() + 1e-5)

    with torch.no_grad():
        rgb = torch.stack(batch["inputs"]).flip(1) / 255
        of_images = [f.double().numpy() for f in model.encoder(rgb)]
        of_style = [f[::-1] for f in of_images]
        wanted = np.zeros_like(of_images[-1])
        for b, c in np.ndindex(wanted.shape[:2]):
            (mean, std), (style_mean, style_std) = (
                moments(f[-1][b, c]) for f in (of_images, of_style)
            )
            wanted[b, c] = (of_images[-1][b, c] - mean) / std * style_std + style_mean
        decoded = model.decoder(torch.from_numpy(wanted).float())
        of_result = [f.double().numpy() for f in model.encoder(decoded)]
    loss_style = 0.0
    for ours, theirs in zip(of_result, of_style, strict=True):
        errors = [
            np.subtract(moments(ours[bc]), moments(theirs[bc])) ** 2
            for bc in np.ndindex(ours.shape[:2])
        ]
        loss_style += np.mean(errors, axis=0).sum()
    loss_content = ((of_result[-1] - wanted) ** 2).mean()
    assert terms["loss_content"].item() == pytest.approx(loss_content, rel=1e-4)
    assert terms["loss_style"].item() == pytest.approx(3 * loss_style, rel=1e-4)


def test_the_decoder_alone_learns():
    model, batch = build(), data(source=2, target_unlabeled=2)
    encoder = {k: v.clone() for k, v in model.encoder.state_dict().items()}
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-4)
    history = []
    for _ in range(15):
        optimizer.zero_grad()
        loss = sum(losses(model, batch).values())
        loss.backward()
        optimizer.step()
        history.append(loss.item())
    gray = build()
    gray.decoder[-1].weight.data.zero_()
    gray.decoder[-1].bias.data.fill_(0.5)
    assert history[-1] < 0.7 * sum(losses(gray, batch).values()) < history[0]
    assert all(
        torch.equal(encoder[k], v) for k, v in model.encoder.state_dict().items()
    )
    assert all(p.grad is not None for p in model.decoder.parameters())


def test_under_autocast():
    model, batch = build(), data(source=1, target_unlabeled=1)
    with torch.autocast("cpu", torch.bfloat16):
        low = losses(model, batch)
    for name, value in losses(model, batch).items():
        assert low[name].dtype == torch.float32
        torch.testing.assert_close(low[name], value, rtol=0.1, atol=0.01)


def test_encoder_is_loaded_when_weights_are_initialized(tmp_path):
    torch.manual_seed(1)
    state, path = VGGEncoder().state_dict(), tmp_path / "vgg.pth"
    torch.save(state, path)
    model = build(encoder=str(path))
    model.init_weights()
    assert all(torch.equal(state[k], v) for k, v in model.encoder.state_dict().items())


def test_wrong_batches_and_modes():
    with pytest.raises(ValueError, match="source and target"):
        losses(build(), data(source=2))
    with pytest.raises(ValueError, match="predict"):
        losses(build(), data(source=1, target_unlabeled=1), "predict")


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_config_fits_together(path, monkeypatch):
    monkeypatch.delenv("MMPOSE_DA_DATA", raising=False)
    cfg = Config.fromfile(path)
    loader = cfg.train_dataloader
    counts = loader.batch_sampler.samples_per_domain
    assert sum(counts.values()) == loader.batch_size
    assert loader.dataset.source.data_root.startswith("data/")
    kind = ImageAutoencoder if "autoencoder" in path.stem else AdaINTrainer
    assert isinstance(MODELS.build(cfg.model), kind)
    assert "by_epoch" not in cfg.train_cfg and cfg.val_cfg is None


def test_from_training_to_use(tmp_path, repo, coco, mpii):
    cfg = Config.fromfile(repo / "configs/style/adain_studio2street.py")
    cfg.work_dir = str(tmp_path / "work")
    cfg.experiment_name = tmp_path.name
    cfg.randomness = dict(seed=0)
    cfg.model.encoder = None
    cfg.train_dataloader.update(num_workers=0, persistent_workers=False, batch_size=2)
    counts = dict(source=1, target_unlabeled=1)
    cfg.train_dataloader.batch_sampler.samples_per_domain = counts
    cfg.train_dataloader.dataset.update(source=coco, target=mpii)
    cfg.train_pipeline[4].input_size = (32, 32)
    cfg.train_dataloader.dataset.pipeline = cfg.train_pipeline
    cfg.train_cfg.max_iters = 3
    cfg.custom_hooks[0].interval = 2
    cfg.default_hooks.logger.interval = 1
    runner = Runner.from_cfg(cfg)
    runner.train()

    (scalars,) = Path(cfg.work_dir).glob("*/vis_data/scalars.json")
    steps = [json.loads(line) for line in scalars.read_text().splitlines()]
    assert len(steps) == 3
    assert {"loss", "loss_content", "loss_style"} <= set(steps[0])
    samples = Path(cfg.work_dir, "style_samples")
    assert [path.name for path in samples.iterdir()] == ["iter_2.jpg"]

    checkpoint = str(Path(cfg.work_dir, "iter_3.pth"))
    style = AdaINStyle(encoder=checkpoint, decoder=checkpoint)
    batch = data(size=32, source=1, target_unlabeled=1)
    content, other, result = losses(runner.model, batch, "tensor")
    torch.testing.assert_close(style(content, other, torch.ones(2)), result)
