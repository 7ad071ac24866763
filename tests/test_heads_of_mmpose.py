"""Every family of heads in MMPose's own configs: trains, teaches, is published."""

import copy

import numpy as np
import pytest
import torch
from mmengine.dataset import pseudo_collate
from mmengine.hub import get_config
from mmpose.apis import inference_topdown, init_model
from mmpose.registry import MODELS

from mmpose_da.apis import publish
from mmpose_da.datasets import MixedDomainDataset
from mmpose_da.engine import EMATeacherHook

BODY = "mmpose::body_2d_keypoint/"
TOPDOWN = BODY + "topdown_heatmap/coco/td-hm_"
SMALL = dict(depth=18)
slow = pytest.mark.slow
#: Config, whether its ResNet-50 is made a ResNet-18, and its mark.
CONFIGS = dict(
    msra=(TOPDOWN + "res50_8xb64-210e_coco-256x192.py", True, slow),
    udp=(TOPDOWN + "hrnet-w32_udp-8xb64-210e_coco-256x192.py", False, slow),
    vipnas=(TOPDOWN + "vipnas-mbv3_8xb64-210e_coco-256x192.py", False, slow),
    cpm=(TOPDOWN + "cpm_8xb64-210e_coco-256x192.py", False, slow),
    hourglass=(TOPDOWN + "hourglass52_8xb32-210e_coco-256x256.py", False, slow),
    megvii=(TOPDOWN + "mspn50_8xb32-210e_coco-256x192.py", False, slow),
    simcc=(BODY + "simcc/coco/simcc_res50_8xb64-210e_coco-256x192.py", True, ()),
    rtmpose=(BODY + "rtmpose/coco/rtmpose-t_8xb256-420e_coco-256x192.py", False, slow),
    regression=(
        BODY + "topdown_regression/coco/td-reg_res50_8xb64-210e_coco-256x192.py",
        True,
        slow,
    ),
    rle=(
        BODY + "topdown_regression/coco/td-reg_res50_rle-8xb64-210e_coco-256x192.py",
        True,
        (),
    ),
    integral=(
        BODY + "integral_regression/coco/ipr_res50_8xb64-210e_coco-256x256.py",
        True,
        slow,
    ),
    dsnt=(
        BODY + "integral_regression/coco/ipr_res50_dsnt-8xb64-210e_coco-256x256.py",
        True,
        slow,
    ),
)
PLAIN = (
    *("LoadImage", "GetBBoxCenterScale", "TopdownAffine"),
    *("GenerateTarget", "PackPoseInputs"),
)
ADAPTATIONS = dict(
    mean_teacher=dict(
        type="MeanTeacher",
        student_view=dict(type="RandomView", rotation=20, flip_prob=0.5),
        momentum=0.5,
    ),
    dan=dict(type="FeatureAlignment", weight=0.5),
    cafa=dict(type="CAFA", weight=0.5),
    dann=dict(
        type="DomainAdversarial",
        discriminator=dict(type="GlobalDomainDiscriminator"),
        weight=0.1,
    ),
)
READ_MAPS = dict(
    entropy=dict(type="EntropyMinimization"),
    info_max=dict(type="InformationMaximization"),
    ihta=dict(type="IHTA"),
)
WITHOUT_MAPS = ("simcc", "rtmpose", "regression", "rle", "integral", "dsnt")


@pytest.fixture(
    params=[pytest.param(name, marks=mark) for name, (_, _, mark) in CONFIGS.items()]
)
def config(request):
    """One of MMPose's configs, with an adaptive model that starts from nothing."""
    path, small, _ = CONFIGS[request.param]
    cfg = get_config(path)
    cfg.name = request.param
    backbone = cfg.model.backbone
    for part in (cfg.model, backbone, cfg.model.head):
        part.init_cfg = None
    if small:
        backbone.depth = 18
        cfg.model.head.in_channels = 512
    cfg.model.update(
        type="DomainAdaptiveTopdown",
        joints="CocoDataset",
        adaptations=copy.deepcopy(ADAPTATIONS),
    )
    if cfg.name not in WITHOUT_MAPS:
        cfg.model.adaptations.update(copy.deepcopy(READ_MAPS))
    return cfg


def make_batch(cfg, coco):
    """Two labeled and two unlabeled people, through the plain part of its pipeline."""
    pipeline = [t for t in cfg.train_pipeline if t["type"] in PLAIN]
    coco.pop("joint_map")
    dataset = MixedDomainDataset("CocoDataset", coco, coco, pipeline=pipeline)
    start = dataset.lens[0]
    return pseudo_collate([dataset[i] for i in (0, 1, start, start + 1)])


def test_trains_teaches_and_is_published(config, coco, tmp_path):
    torch.manual_seed(0)
    model = MODELS.build(config.model)
    model.init_weights()
    model.train()
    teacher = model.adaptations.mean_teacher
    hook = EMATeacherHook()
    hook.update(model)
    data = make_batch(config, coco)
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-4)
    batch = model.data_preprocessor(data, training=True)
    network = list(model.student.parameters())
    before = [p.detach().clone() for p in network]
    for _ in range(2):
        losses = model.loss(**batch)
        total, log = model.parse_losses(losses)
        assert all(torch.isfinite(value).all() for value in log.values()), log
        assert losses["mean_teacher.loss"] > 0 and losses["source.loss_kpt"] != 0
        optimizer.zero_grad()
        total.backward()
        optimizer.step()
        hook.update(model)
    assert any(not torch.equal(a, b) for a, b in zip(before, network, strict=True))
    assert teacher.average.steps == 3

    # Only the teacher's pseudo-labels train the student.
    optimizer.zero_grad()
    model.loss(**batch)["mean_teacher.loss"].backward()
    assert any(p.grad is not None and p.grad.any() for p in network)

    config.model.test_cfg.network = "teacher"
    checkpoint = tmp_path / "adapted.pth"
    torch.save(dict(state_dict=model.state_dict(), meta=dict()), checkpoint)
    weights, deployed = publish(config, checkpoint, tmp_path / "published.pth")
    stock = init_model(str(deployed), str(weights), device="cpu")
    assert type(stock).__name__ == "TopdownPoseEstimator"
    image = np.random.default_rng(0).integers(0, 256, (80, 60, 3), np.uint8)
    [person] = inference_topdown(stock, image)
    assert person.pred_instances.keypoints.shape == (1, 17, 2)


def test_adaptations_that_read_maps_say_so(config):
    if config.name not in WITHOUT_MAPS:
        pytest.skip("its head gives 2D heatmaps")
    head = config.model.head.type
    cases = dict(
        READ_MAPS,
        isa=dict(type="ISA"),
        warped=dict(type="MeanTeacher", pseudo_heatmaps="warped"),
    )
    for name, adaptation in cases.items():
        config.model.adaptations = {name: adaptation}
        message = (
            f"adaptations.{name}: {adaptation['type']} reads (2D )?heatmaps.*{head}"
        )
        with pytest.raises(ValueError, match=message):
            MODELS.build(config.model)
