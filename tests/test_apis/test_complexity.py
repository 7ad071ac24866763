import pytest
from mmengine.config import Config
from mmengine.logging import MMLogger
from tiny_model import model_config

from mmpose_da.apis.complexity import Complexity, complexity, markdown, read_config

TOPDOWN = "mmpose::body_2d_keypoint/topdown_heatmap/coco/td-hm_"


@pytest.mark.parametrize(
    "name, parameters, flops",
    [
        # MMPose's model zoo, and Xiao et al., ECCV 2018; Sun et al., CVPR 2019
        ("res50_8xb64-210e_coco-256x192", 34.0, 5.46),
        pytest.param(
            *("hrnet-w32_8xb64-210e_coco-256x192", 28.5, 7.7), marks=pytest.mark.slow
        ),
    ],
)
def test_equals_the_published_numbers(name, parameters, flops):
    row = complexity(read_config(f"{TOPDOWN}{name}.py"))
    assert row.name == f"td-hm_{name}" and row.input_size == (192, 256)
    assert row.parameters / 1e6 == pytest.approx(parameters, abs=0.05)
    assert row.multiply_adds / 1e9 == pytest.approx(flops, abs=0.02)


def test_counts_a_convolution_by_hand():
    """Parts of which every multiplication is known."""
    cfg = Config(dict(model=model_config(type="TopdownPoseEstimator")))
    before = complexity(cfg, "tiny")
    cfg.model.head.conv_out_channels = (24,)
    cfg.model.head.conv_kernel_sizes = (3,)
    after = complexity(cfg, "tiny")
    pixels, joints = 16 * 16, 16
    # A 3x3 convolution with a bias, its normalization, and a narrower last layer.
    weights = 24 * 32 * 9
    narrower = joints * (32 - 24)
    assert after.parameters - before.parameters == weights + 24 + 48 - narrower
    norm = after.multiply_adds - before.multiply_adds - pixels * (weights - narrower)
    assert norm in (0, 2 * 24 * pixels)


def test_of_an_adapted_model_it_is_the_deployed_network():
    stock = complexity(Config(dict(model=model_config(type="TopdownPoseEstimator"))))
    adaptations = dict(
        cafa=dict(type="CAFA", weight=0.5),
        mean_teacher=dict(
            type="MeanTeacher", student_view=dict(type="RandomView", rotation=10)
        ),
    )
    for network in ("student", "teacher"):
        model = model_config(
            type="DomainAdaptiveTopdown", joints="MpiiDataset", adaptations=adaptations
        )
        model["test_cfg"]["network"] = network
        assert complexity(Config(dict(model=model))) == stock


def test_without_an_input_size():
    model = model_config(type="TopdownPoseEstimator")
    del model["head"]["decoder"]
    with pytest.raises(ValueError, match="tiny has no input size.*`decoder`.*Topdown"):
        complexity(Config(dict(model=model)), "tiny")


def test_log_level_is_restored():
    logger = MMLogger.get_current_instance()
    before = logger.level
    complexity(Config(dict(model=model_config(type="TopdownPoseEstimator"))))
    assert logger.level == before


def test_table():
    rows = [
        Complexity("large", (288, 384), 68_640_000, 35_510_000_000),
        Complexity("small", (96, 96), 1_290_000, 70_200_000),
    ]
    assert markdown(rows) == (
        "| config | input size | parameters (M) | GFLOPs |\n"
        "| --- | --- | ---: | ---: |\n"
        "| large | 384x288 | 68.64 | 35.510 |\n"
        "| small | 96x96 | 1.29 | 0.070 |\n"
    )


def test_command_prints_the_table(load_tool, repo, capsys):
    tool = load_tool("complexity")
    small = repo / "configs/efasnet/street_res50-small_efasnet.py"
    tool.main([str(small), f"{TOPDOWN}mobilenetv2_8xb64-210e_coco-256x192.py"])
    out = capsys.readouterr().out
    assert "| street_res50-small_efasnet | 96x96 | 1.29 | 0.070 |" in out
    assert "| td-hm_mobilenetv2_8xb64-210e_coco-256x192 | 256x192 | 9.57 |" in out
    tool.main([str(small), "--cfg-options", "model.neck.fusion=concat"])
    assert "| 96x96 | 1.36 | 0.086 |" in capsys.readouterr().out


@pytest.mark.parametrize(
    "config, code, message",
    [
        ("none.py", 2, "there is no file 'none.py'"),
        ("mmpose::body_2d_keypoint/none.py", 1, "none.py"),
    ],
)
def test_missing_config(load_tool, capsys, config, code, message):
    with pytest.raises(SystemExit) as error:
        load_tool("complexity").main([config])
    assert error.value.code == code and message in capsys.readouterr().err
