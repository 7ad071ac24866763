"""EFASNet's parts in estimators: they train, adapt, are published, and exported."""

import io
import subprocess
import sys

import numpy as np
import pytest
import torch
from killed_run import Kill, Runs
from mmengine.model import MMDistributedDataParallel
from mmpose.apis import inference_topdown, init_model
from mmpose.registry import MODELS
from tiny_model import batch, model_config
from tiny_run import UDA, run_config, shorten
from torch.nn.modules.batchnorm import _BatchNorm
from two_processes import join, spawn

from mmpose_da.apis import load_config, publish
from mmpose_da.engine import EMATeacherHook
from mmpose_da.models.pose_estimators import PoseNetwork
from mmpose_da.rendering import CROWD, write_domain

ALL = (0, 1, 2, 3)
RESNET = dict(type="ResNet", depth=50, stem_channels=8, base_channels=8)
WIDTHS = (32, 64, 128, 256)
FUSION = dict(type="FeatureFusion", in_channels=WIDTHS, channels=12)
UPSAMPLED = dict(in_channels=256, deconv_out_channels=(16, 16, 16))
HEATMAPS = dict(in_channels=12, deconv_out_channels=None)
#: Backbone, neck, and head of each row, 16 heatmaps at stride 4.
PARTS = dict(
    fasm=(dict(RESNET, type="EFASNet"), None, UPSAMPLED),
    ff=(dict(RESNET, out_indices=ALL), FUSION, HEATMAPS),
    duc=(RESNET, None, dict(UPSAMPLED, type="DUCHead")),
    efasnet=(
        dict(RESNET, type="EFASNet", out_indices=ALL),
        dict(FUSION, upsample_cfg=dict(type="DUC")),
        HEATMAPS,
    ),
)


def network_config(part: str, type_: str = "TopdownPoseEstimator", **kwargs) -> dict:
    """A narrow network: 64 px images, heatmaps of 16 pixels."""
    config = model_config(type=type_, **kwargs)
    backbone, neck, head = PARTS[part]
    head = dict(config["head"], deconv_kernel_sizes=(4, 4, 4), **head)
    if head["type"] == "DUCHead":
        del head["deconv_kernel_sizes"]
    config.update(backbone=backbone, neck=neck, head=head)
    return config


def build(part: str, **kwargs):
    torch.manual_seed(0)
    model = MODELS.build(network_config(part, **kwargs))
    model.init_weights()
    model.train()
    return model


@pytest.mark.parametrize("part", PARTS)
def test_trains_in_a_stock_estimator(part):
    model = build(part)
    images, samples = batch(source=4)
    optimizer = torch.optim.Adam(model.parameters(), 1e-2)
    history = []
    for _ in range(4):
        losses = model.loss(images, samples)
        optimizer.zero_grad()
        losses["loss_kpt"].backward()
        history.append(losses["loss_kpt"].item())
        optimizer.step()
    assert np.isfinite(history).all() and history[-1] < history[0]
    for name, parameter in model.named_parameters():
        assert parameter.grad.any(), name


@pytest.mark.parametrize("part", PARTS)
def test_mixed_precision_is_finite(part):
    model = build(part)
    images, samples = batch(source=4)
    with torch.autocast("cpu", torch.bfloat16):
        outputs = model._forward(images)
    assert outputs.isfinite().all()
    loss = model.head.loss_module(
        outputs.float(),
        torch.stack([s.gt_fields.heatmaps for s in samples]),
        torch.ones(4, 16),
    )
    loss.backward()
    assert all(p.grad.isfinite().all() for p in model.parameters())


@pytest.mark.parametrize("part", PARTS)
def test_exported_network_gives_the_same(part):
    """With a batch of another size."""
    pytest.importorskip("onnx")
    onnxruntime = pytest.importorskip("onnxruntime")
    model = build(part)
    network = PoseNetwork(model)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.normal_(std=0.1)
        network(torch.randn(8, 3, 64, 64))  # statistics
    network.eval()
    file = io.BytesIO()
    axes = dict(images={0: "batch"}, heatmaps={0: "batch"})
    torch.onnx.export(
        network,
        (torch.randn(2, 3, 64, 64),),
        file,
        input_names=["images"],
        output_names=["heatmaps"],
        dynamic_axes=axes,
        dynamo=False,
    )
    session = onnxruntime.InferenceSession(file.getvalue())
    images = torch.randn(3, 3, 64, 64)
    [exported] = session.run(None, dict(images=images.numpy()))
    with torch.no_grad():
        expected = network(images)
    assert expected.std() > 1e-3
    np.testing.assert_allclose(exported, expected, atol=1e-5, rtol=1e-4)


@pytest.fixture
def adapted(tmp_path, coco, mpii):
    """The config of a run that adapts EFASNet with all that read its features."""
    cfg = run_config(tmp_path / "run", coco, mpii, UDA, max_epochs=1)
    adaptations = cfg.model.adaptations
    adaptations.ihta.feature = "head.deconv_layers"
    cfg.model = network_config(
        "efasnet",
        "DomainAdaptiveTopdown",
        joints="MpiiDataset",
        adaptations=dict(adaptations.to_dict()),
    )
    return cfg


def test_adapts(adapted):
    torch.manual_seed(0)
    model = MODELS.build(adapted.model)
    model.init_weights()
    model.train()
    EMATeacherHook().update(model)
    images, samples = batch(source=2, target_unlabeled=2)
    losses = model.loss(images, samples)
    total, log = model.parse_losses(losses)
    total.backward()
    assert all(value.isfinite().all() for value in log.values())
    for term in ("cafa.loss", "ihta.loss_align", "entropy.loss", "mean_teacher.loss"):
        assert term in losses
    gradients = {n: p.grad for n, p in model.student.named_parameters()}
    assert all(gradient is not None for gradient in gradients.values())
    for name in ("backbone.conv1.weight", "neck.upsamples.0.conv.weight"):
        assert gradients[name].any()


@pytest.mark.slow
def test_adapts_and_resumes_exactly(adapted, tmp_path, compare):
    adapted.default_hooks.checkpoint.update(interval=1, by_epoch=False)
    runs = Runs(adapted)
    runs(tmp_path / "through")
    runs(tmp_path / "killed", Kill(iterations=2))
    runs(tmp_path / "killed")
    assert compare(tmp_path / "through", tmp_path / "killed") == []


def test_is_published_with_an_import_of_this_package(adapted, tmp_path):
    model = MODELS.build(adapted.model)
    model.init_weights()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
        model.adaptations.mean_teacher.average.steps.fill_(3)
    checkpoint = tmp_path / "adapted.pth"
    torch.save(dict(state_dict=model.state_dict(), meta=dict()), checkpoint)
    weights, config = publish(adapted, checkpoint, tmp_path / "out.pth", "teacher")
    assert "custom_imports = {'imports': ['mmpose_da']}" in config.read_text()
    stock = init_model(str(config), str(weights), device="cpu")
    assert type(stock).__name__ == "TopdownPoseEstimator"
    image = np.random.default_rng(0).integers(0, 256, (80, 60, 3), np.uint8)
    [person] = inference_topdown(stock, image)
    assert person.pred_instances.keypoints.shape == (1, 16, 2)


@pytest.mark.slow
def test_published_network_loads_in_a_process_of_its_own(adapted, tmp_path):
    model = MODELS.build(adapted.model)
    checkpoint = tmp_path / "adapted.pth"
    torch.save(dict(state_dict=model.state_dict(), meta=dict()), checkpoint)
    weights, config = publish(adapted, checkpoint, tmp_path / "out.pth", "student")
    code = (
        "import mmpose_da\nfrom mmpose.apis import init_model\n"
        f"print(type(init_model({str(config)!r}, {str(weights)!r}, 'cpu').backbone))"
    )
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert "EFASNet" in done.stdout, done.stderr


@pytest.mark.slow
def test_a_crowd_is_trained_on_and_evaluated_as_crowdpose(
    tmp_path, repo, monkeypatch, compare
):
    """The config of the row, on a small rendered crowd; killed and resumed."""
    write_domain(
        tmp_path / "synthetic/crowd", CROWD, dict(train=4, val=3), format="crowdpose"
    )
    monkeypatch.setenv("MMPOSE_DA_DATA", str(tmp_path))
    cfg = load_config(repo / "configs/efasnet/crowd_res50-small_efasnet.py")
    cfg.randomness = dict(seed=0, deterministic=True)
    cfg.train_cfg.update(max_iters=3, val_interval=3)
    cfg.train_dataloader.update(batch_size=4)
    cfg.train_dataloader.batch_sampler.samples_per_domain = dict(target_labeled=4)
    cfg.default_hooks.checkpoint.interval = 1
    cfg.default_hooks.logger.interval = 1
    for loader in (cfg.train_dataloader, cfg.val_dataloader, cfg.test_dataloader):
        loader.update(num_workers=0, persistent_workers=False)
    runs = Runs(cfg)
    runner = runs(tmp_path / "through")
    runs(tmp_path / "killed", Kill(iterations=2))
    runs(tmp_path / "killed")
    assert compare(tmp_path / "through", tmp_path / "killed") == []
    scalars = runner.message_hub.log_scalars
    for metric in ("AP", "AP(E)", "AP(M)", "AP(H)"):
        assert f"val/crowdpose/{metric}" in scalars


@pytest.mark.slow
def test_a_full_size_config_trains_resumes_and_evaluates_on_coco(
    tmp_path, repo, real_data, monkeypatch, compare
):
    monkeypatch.setenv("MMPOSE_DA_DATA", str(real_data))
    name = "td-hm_efasnet-res50_8xb64-210e_coco-256x192"
    cfg = load_config(repo / f"configs/efasnet/{name}.py")
    shorten(cfg, source=2)
    cfg.train_dataloader.dataset.source.indices = 4
    runs = Runs(cfg)
    runner = runs(tmp_path / "through")
    assert runner.max_iters == 4
    assert "val/coco/AP" in runner.message_hub.log_scalars
    runs(tmp_path / "killed", Kill(iterations=3))
    assert (tmp_path / "killed/epoch_1.pth").is_file()
    runs(tmp_path / "killed")
    assert compare(tmp_path / "through", tmp_path / "killed") == []


def gradients(model, images, samples):
    """Of the loss, by the name of the parameter; statistics are those of training."""
    for module in model.modules():
        if isinstance(module, _BatchNorm):
            module.eval()
    model.loss(images, samples)["loss_kpt"].backward()
    return {name: parameter.grad for name, parameter in model.named_parameters()}


def four_people():
    torch.manual_seed(1)
    images, samples = batch(source=4)
    for sample in samples:
        sample.gt_instance_labels.keypoint_weights[:] = 1
    return images, samples


def run_rank(rank, folder, port):
    join(rank, folder / "empty.py", port)
    images, samples = four_people()
    half = slice(2 * rank, 2 * rank + 2)
    model = MMDistributedDataParallel(build("efasnet"))
    for module in model.modules():
        if isinstance(module, _BatchNorm):
            module.eval()
    losses = model(images[half], samples[half], mode="loss")
    losses["loss_kpt"].backward()
    found = {n: p.grad for n, p in model.module.named_parameters()}
    torch.save(found, folder / f"{rank}.pth")


@pytest.mark.slow
def test_two_processes_have_the_gradient_of_one(tmp_path):
    (tmp_path / "empty.py").write_text("env_cfg = dict(dist_cfg=dict())\n")
    spawn(run_rank, tmp_path)
    expected = gradients(build("efasnet"), *four_people())
    for rank in (0, 1):
        found = torch.load(tmp_path / f"{rank}.pth")
        assert found.keys() == expected.keys()
        for name, gradient in expected.items():
            torch.testing.assert_close(found[name], gradient, rtol=1e-3, atol=1e-5)
