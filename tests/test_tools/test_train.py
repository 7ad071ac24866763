"""Options of tools/train.py."""

import os
import sys

import pytest
import torch
from mmengine.config import Config

CONFIG = """
model = dict(
    type='Toy',
    data_preprocessor=dict(type='PoseDataPreprocessor'),
    backbone=dict(
        type='ResNet',
        depth=50,
        init_cfg=dict(type='Pretrained', checkpoint='torchvision://resnet50'),
        stages=[
            dict(init_cfg=dict(type='Pretrained', checkpoint='a.pth')),
            dict(init_cfg=dict(type='Constant', val=1)),
        ],
    ),
    head=dict(
        init_cfg=[
            dict(type='Normal', layer='Conv2d'),
            dict(type='Pretrained', checkpoint='b.pth'),
        ],
    ),
    neck=None,
)
load_from = 'https://example.org/source.pth'
resume = False
optim_wrapper = dict(optimizer=dict(type='Adam', lr=1e-3))
auto_scale_lr = dict(base_batch_size=512)
val_cfg = dict()
val_dataloader = dict(batch_size=1)
val_evaluator = dict(type='PCKAccuracy')
default_hooks = dict(visualization=dict(type='PoseVisualizationHook', enable=False))
"""


@pytest.fixture
def make_config(load_tool, write_config):
    train = load_tool("train")

    def make(*options: str, text: str = CONFIG) -> Config:
        return train.make_config(train.parse_args([write_config(text), *options]))

    return make


def test_target_without_evaluation_is_not_evaluated_on_another_set(make_config):
    """Such as the COCO of the MMPose config that the user's extends."""
    text = CONFIG + "target = dict(type='CocoDataset')\n"
    with pytest.raises(ValueError, match="`target`, but no `target_val`"):
        make_config(text=text)
    assert make_config("--no-validate", text=text).val_dataloader is None
    text += "target_val = dict(type='CocoDataset')\n"
    assert make_config(text=text).val_dataloader.batch_size == 1


def pretrained_count(cfg: Config) -> int:
    return cfg.model.to_dict().__repr__().count("Pretrained")


def test_defaults_leave_the_config_alone(make_config):
    cfg = make_config()
    assert cfg.work_dir == "work_dirs/toy"
    assert cfg.launcher == "none"
    assert cfg.load_from == "https://example.org/source.pth"
    assert cfg.resume is False
    assert pretrained_count(cfg) == 3
    assert cfg.val_evaluator.type == "PCKAccuracy"
    assert not cfg.default_hooks.visualization.enable


def test_from_scratch_takes_out_what_loads_weights(make_config):
    cfg = make_config("--cfg-options", "from_scratch=True")
    assert cfg.load_from is None
    assert pretrained_count(cfg) == 0
    assert "init_cfg" not in cfg.model.backbone
    assert cfg.model.backbone.depth == 50
    # Other initializations stay.
    assert cfg.model.backbone.stages[1].init_cfg == dict(type="Constant", val=1)
    assert cfg.model.head.init_cfg == [dict(type="Normal", layer="Conv2d")]


def test_from_scratch_in_the_config_and_off_on_the_command_line(make_config):
    text = CONFIG + "from_scratch = True\n"
    assert pretrained_count(make_config(text=text)) == 0
    cfg = make_config("--cfg-options", "from_scratch=False", text=text)
    assert pretrained_count(cfg) == 3


def test_from_scratch_comes_after_the_other_cfg_options(make_config):
    cfg = make_config(
        "--cfg-options",
        "from_scratch=True",
        "load_from=c.pth",
        "model.head.extra.init_cfg.type=Pretrained",
    )
    assert cfg.load_from is None
    assert pretrained_count(cfg) == 0


def test_from_scratch_resumes_all_the_same(make_config, tmp_path):
    latest = tmp_path / "latest.pth"
    latest.touch()
    cfg = make_config("--resume", str(latest), "--cfg-options", "from_scratch=True")
    assert cfg.resume is True
    assert cfg.load_from == str(latest)


def test_resume(make_config, tmp_path):
    work_dir = ("--work-dir", str(tmp_path))
    cfg = make_config(*work_dir, "--resume")
    assert cfg.resume is False  # there is nothing yet, so it starts
    assert cfg.load_from == "https://example.org/source.pth"
    torch.save(dict(optimizer=dict()), tmp_path / "epoch_1.pth")
    cfg = make_config(*work_dir, "--resume")
    assert cfg.resume is True
    assert cfg.load_from == str(tmp_path / "epoch_1.pth")
    assert make_config("--resume", "https://example.org/a.pth").load_from.endswith(
        "a.pth"
    )


def test_work_dir(make_config):
    text = CONFIG + "work_dir = 'of_config'\n"
    assert make_config(text=text).work_dir == "of_config"
    assert make_config("--work-dir", "mine", text=text).work_dir == "mine"


def test_training_options(make_config):
    cfg = make_config("--amp", "--no-validate", "--auto-scale-lr")
    assert cfg.optim_wrapper.type == "AmpOptimWrapper"
    assert cfg.optim_wrapper.loss_scale == "dynamic"
    assert cfg.val_cfg is cfg.val_dataloader is cfg.val_evaluator is None
    assert cfg.auto_scale_lr == dict(base_batch_size=512, enable=True)


def test_mixed_precision_without_a_gpu(load_tool, write_config, monkeypatch):
    train = load_tool("train")
    monkeypatch.setattr("mmpose_da.apis.training.get_device", lambda: "cpu")
    monkeypatch.setattr(sys, "argv", ["train.py", write_config(CONFIG), "--amp"])
    with pytest.raises(SystemExit, match=r"\(--amp\) needs a GPU.*float32"):
        train.main()


def test_the_runtime_is_that_of_the_config(make_config):
    hooks = "default_hooks = dict(non_finite=dict(type='NonFiniteHook'))"
    assert make_config(text=CONFIG + hooks).default_hooks == dict(
        non_finite=dict(type="NonFiniteHook")
    )
    assert make_config().default_hooks.keys() == {"visualization"}


def test_visualization(make_config):
    cfg = make_config("--show-dir", "drawn", "--interval", "7")
    hook = cfg.default_hooks.visualization
    assert (hook.enable, hook.show, hook.out_dir, hook.interval) == (
        True,
        False,
        "drawn",
        7,
    )
    assert "wait_time" not in hook
    hook = make_config("--show", "--wait-time", "3").default_hooks.visualization
    assert (hook.show, hook.wait_time) == (True, 3)


def test_cfg_options_win(make_config):
    cfg = make_config(
        "--work-dir",
        "mine",
        "--cfg-options",
        "work_dir=other",
        "model.backbone.depth=18",
    )
    assert cfg.work_dir == "other"
    assert cfg.model.backbone.depth == 18


def test_local_rank(make_config, monkeypatch):
    monkeypatch.delenv("LOCAL_RANK")
    make_config("--local-rank", "3")
    assert os.environ["LOCAL_RANK"] == "3"


@pytest.mark.parametrize(
    "options, text, message",
    [
        (["--amp"], "optim_wrapper = dict(type='Custom')", "optim_wrapper.type"),
        (["--auto-scale-lr"], "auto_scale_lr = None", "base_batch_size"),
        (["--show"], "default_hooks = dict()", "default_hooks.visualization"),
    ],
)
def test_options_that_do_not_go_with_the_config(make_config, options, text, message):
    with pytest.raises(ValueError, match=message):
        make_config(*options, text=f"{CONFIG}\n{text}\n")


def test_missing_files_are_named(load_tool, write_config, capsys):
    train = load_tool("train")
    for arguments, missing in (
        (["configs/none.py"], "configs/none.py"),
        ([write_config(CONFIG), "--resume", "none.pth"], "none.pth"),
    ):
        with pytest.raises(SystemExit) as error:
            train.parse_args(arguments)
        assert error.value.code == 2
        assert f"there is no file '{missing}'" in capsys.readouterr().err


TOY_MODULE = """
import torch
from mmengine.evaluator import BaseMetric
from mmengine.model import BaseModel
from mmpose.registry import DATASETS, METRICS, MODELS

@DATASETS.register_module(force=True)
class ToyPoints(torch.utils.data.Dataset):
    metainfo = dict(dataset_name='toy')
    def __len__(self):
        return 4
    def __getitem__(self, index):
        return torch.full((2,), float(index))

@MODELS.register_module(force=True)
class ToyModel(BaseModel):
    def __init__(self, init_cfg=None, data_preprocessor=None):
        super().__init__(data_preprocessor, init_cfg)
        self.layer = torch.nn.Linear(2, 1)
    def forward(self, *inputs, mode):
        out = self.layer(torch.stack(inputs))
        return out if mode == 'predict' else dict(loss=out.square().mean())

@METRICS.register_module(force=True)
class ToyMetric(BaseMetric):
    def process(self, data_batch, data_samples):
        self.results.extend(sample.item() for sample in data_samples)
    def compute_metrics(self, results):
        return dict(mean=sum(results) / len(results), number=len(results))
"""

TOY_CONFIG = """
custom_imports = dict(imports=['toy_module'])
default_scope = 'mmpose'
model = dict(type='ToyModel', init_cfg=dict(type='Pretrained', checkpoint='no.pth'))
train_dataloader = dict(
    batch_size=2, num_workers=0, dataset=dict(type='ToyPoints'),
    sampler=dict(type='DefaultSampler', shuffle=False))
val_dataloader = test_dataloader = train_dataloader
train_cfg = dict(by_epoch=True, max_epochs=2)
val_cfg = test_cfg = dict()
val_evaluator = test_evaluator = dict(type='ToyMetric')
optim_wrapper = dict(optimizer=dict(type='SGD', lr=0.01))
"""


def test_train_resume_and_test(load_tool, tmp_path, monkeypatch, write_config):
    (tmp_path / "toy_module.py").write_text(TOY_MODULE)
    monkeypatch.syspath_prepend(tmp_path)
    config = write_config(TOY_CONFIG)
    work_dir = tmp_path / "work"
    train, test = load_tool("train"), load_tool("test")

    def run(tool, *options):
        argv = [tool.__file__, config, *options, "--work-dir", str(work_dir)]
        monkeypatch.setattr(sys, "argv", argv)
        tool.main()

    run(train, "--cfg-options", "from_scratch=True")
    assert (work_dir / "epoch_2.pth").is_file()
    run(
        train,
        "--resume",
        "--cfg-options",
        "from_scratch=True",
        "train_cfg.max_epochs=3",
    )
    weights = torch.load(work_dir / "epoch_3.pth")["state_dict"]

    out = tmp_path / "sub" / "metrics.json"
    run(test, str(work_dir / "epoch_3.pth"), "--out", str(out))
    metrics = Config.fromfile(out)
    inputs = torch.arange(4.0)[:, None].expand(-1, 2)
    expected = inputs @ weights["layer.weight"].T + weights["layer.bias"]
    assert metrics.number == 4
    assert metrics["mean"] == pytest.approx(expected.mean().item(), rel=1e-5)


@pytest.mark.parametrize("option", ["--launcher=mpich", "--interval=often"])
def test_option_is_refused(load_tool, write_config, capsys, option):
    with pytest.raises(SystemExit):
        load_tool("train").parse_args([write_config(CONFIG), option])
    assert option.partition("=")[2] in capsys.readouterr().err
