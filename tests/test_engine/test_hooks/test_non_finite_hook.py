import copy
from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from mmengine.hooks import Hook
from mmengine.logging import MessageHub
from mmengine.model import BaseModel, MMDistributedDataParallel
from mmengine.optim import AmpOptimWrapper, OptimWrapper
from mmengine.runner import Runner
from mmengine.structures import InstanceData, PixelData
from mmpose.registry import HOOKS
from mmpose.structures import PoseDataSample
from tiny_run import UDA, run_config
from torch import multiprocessing, nn
from torch.nn import functional as F

from mmpose_da.engine import NonFiniteHook

NAN, INF = float("nan"), float("inf")

#: Second loss of a batch, of the output (B, 1) of the network.
LOSSES = dict(
    fine=lambda out: out.abs().mean(),
    nan=lambda out: out.mean() * NAN,
    inf=lambda out: (out.mean().abs() + 1000).exp(),
    # Not finite, with a gradient that is.
    constant=lambda out: out.mean() + torch.tensor(NAN),
    infinite_label=lambda out: F.l1_loss(out, torch.full_like(out, INF)),
    # Finite, with a gradient that is not.
    gradient=lambda out: (0 * out).sum().sqrt(),
    # Beyond float32 at a loss scale of 65536.
    large=lambda out: out.mean() * 1e35,
)
WRONG_LOSSES = ("nan", "inf", "constant", "infinite_label")


class Net(BaseModel):
    """Two layers with batch normalization between; a batch says which loss it has."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.layers = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 1))

    def forward(self, inputs, data_samples, mode):
        out = self.layers(torch.stack(inputs))
        return dict(
            loss_a=out.square().mean(),
            loss_b=LOSSES[data_samples[0].kind](out),
            share=out.sigmoid().mean(),
        )


def make_batch(kind="fine", seed=0):
    generator = torch.Generator().manual_seed(seed)
    samples = [
        PoseDataSample(metainfo=dict(domain="source", img_path=f"{i}.jpg", kind=kind))
        for i in range(4)
    ]
    return dict(
        inputs=list(torch.randn(4, 3, generator=generator)), data_samples=samples
    )


def make_runner(wrapper=OptimWrapper, **kwargs):
    model = Net().train()
    messages = []
    return SimpleNamespace(
        model=model,
        optim_wrapper=wrapper(
            optimizer=torch.optim.Adam(model.parameters(), 0.1), **kwargs
        ),
        message_hub=MessageHub.get_current_instance(),
        logger=SimpleNamespace(warning=messages.append),
        messages=messages,
        iter=0,
    )


def run(hook, runner, batches):
    """Train with the batches as a Runner does; states before each and at the end."""
    states = [state_of(runner)]
    hook.before_train(runner)
    for batch in batches:
        hook.before_train_iter(runner, 0, batch)
        outputs = runner.model.train_step(batch, runner.optim_wrapper)
        hook.after_train_iter(runner, 0, batch, outputs)
        states.append(state_of(runner))
        runner.iter += 1
    return states


def state_of(runner) -> dict[str, torch.Tensor]:
    """Weights, floating-point buffers, and the state of the optimizer."""
    model = runner.model
    model = getattr(model, "module", model)
    state = dict(copy.deepcopy(model.state_dict()))
    del state["layers.1.num_batches_tracked"]
    for i, moments in runner.optim_wrapper.optimizer.state_dict()["state"].items():
        state.update({f"{i}.{k}": v.clone() for k, v in moments.items()})
    return state


def same(a, b) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[key], b[key]) for key in a)


@pytest.mark.parametrize("kind", [*WRONG_LOSSES, "gradient"])
def test_a_skip_leaves_everything_as_it_was(kind):
    runner = make_runner()
    batches = [make_batch(k, seed) for seed, k in enumerate(("fine", kind, "fine"))]
    states = run(NonFiniteHook(max_skips=1), runner, batches)
    assert same(states[1], states[2])
    assert not same(states[0], states[1]) and not same(states[2], states[3])
    assert all(value.isfinite().all() for value in states[3].values())
    [message] = runner.messages
    what = "loss, loss_b" if kind in WRONG_LOSSES else "the gradients of 6 parameters"
    assert f"iteration 2, rank 0: {what}" in message
    assert "share" not in message and "1 of at most 1" in message
    for i in range(4):
        assert f"domain source, img_path {i}.jpg" in message


@pytest.mark.parametrize("kind", ["nan", "constant", "gradient"])
def test_the_run_stops_with_everything_as_it_was(kind):
    runner = make_runner()
    batches = [make_batch(), make_batch(kind), make_batch()]
    with pytest.raises(
        FloatingPointError, match="iteration 2(?s:.*)max_s.*=0"
    ) as error:
        run(NonFiniteHook(), runner, batches)
    assert "1.jpg" in str(error.value)
    after_first = run(NonFiniteHook(), make_runner(), batches[:1])[-1]
    assert same(state_of(runner), after_first)


def test_the_budget_is_that_of_the_whole_run():
    bad = [make_batch("nan"), make_batch("gradient")]
    runner = make_runner()
    run(NonFiniteHook(max_skips=2), runner, bad)
    first, second = runner.messages
    assert "iteration 1," in first and "iteration 1," not in second
    saved = runner.message_hub.state_dict()
    assert saved["runtime_info"]["skipped_steps"] == 2

    resumed = make_runner()
    resumed.message_hub = MessageHub.get_instance("resumed")
    resumed.message_hub.load_state_dict(saved)
    with pytest.raises(FloatingPointError, match="iteration 1,(?s:.*)max_skips=2"):
        run(NonFiniteHook(max_skips=2), resumed, bad)


def break_input(batch, i):
    batch["inputs"][i][1] = INF


def break_heatmap(batch, i):
    for k, sample in enumerate(batch["data_samples"]):
        value = NAN if k == i else 1.0
        sample.gt_fields = PixelData(heatmaps=torch.full((2, 4, 4), value))


def break_box(batch, i):
    for k, sample in enumerate(batch["data_samples"]):
        boxes = np.array([[0, 0, 1, NAN if k == i else 1]], np.float32)
        sample.gt_instances = InstanceData(bboxes=boxes)


@pytest.mark.parametrize("damage", [break_input, break_heatmap, break_box])
def test_broken_images_alone_are_named(damage):
    batch = make_batch("nan")
    damage(batch, 2)
    with pytest.raises(FloatingPointError) as error:
        run(NonFiniteHook(), make_runner(), [batch])
    assert [f"{i}.jpg" in str(error.value) for i in range(4)] == [0, 0, 1, 0]


def test_statistics_that_an_image_has_spoiled_are_put_back():
    runner, batch = make_runner(), make_batch()
    break_input(batch, 0)
    before, after = run(NonFiniteHook(max_skips=1), runner, [batch])
    assert same(before, after)
    runner.model.train_step(batch, runner.optim_wrapper)  # without the hook's care
    assert not runner.model.layers[1].running_mean.isfinite().all()


def test_nothing_changes_where_all_is_finite():
    batches = [make_batch(seed=seed) for seed in range(3)]
    guarded, plain = make_runner(), make_runner()
    run(NonFiniteHook(), guarded, batches)
    for batch in batches:
        plain.model.train_step(batch, plain.optim_wrapper)
    assert same(state_of(guarded), state_of(plain))


@pytest.mark.parametrize("kind", ["nan", "gradient"])
@pytest.mark.parametrize("bad", [0, 1])
def test_a_step_of_two_batches_is_skipped_as_a_whole(kind, bad):
    batches = [make_batch(seed=seed) for seed in range(4)]
    batches[bad] = make_batch(kind, bad)
    runner = make_runner(accumulative_counts=2)
    run(NonFiniteHook(max_skips=1), runner, batches)
    without = make_runner(accumulative_counts=2)
    run(NonFiniteHook(), without, batches[2:])
    weights, expected = (dict(r.model.named_parameters()) for r in (runner, without))
    assert same(weights, expected)
    [message] = runner.messages
    if kind == "nan":
        assert f"iteration {bad + 1}, rank 0: loss, loss_b" in message
        assert f"iteration {2 - bad}" not in message


@pytest.fixture
def amp(monkeypatch):
    """Optim wrapper with a loss scaler, which works without a GPU."""
    if not hasattr(torch.amp, "GradScaler"):
        pytest.skip("this PyTorch has no loss scaler for the CPU")
    module = "mmengine.optim.optimizer.amp_optimizer_wrapper"
    monkeypatch.setattr(f"{module}.is_cuda_available", lambda: True)
    monkeypatch.setattr(f"{module}.GradScaler", partial(torch.amp.GradScaler, "cpu"))
    return AmpOptimWrapper


def test_overflow_is_the_loss_scalers_business(amp):
    runner = make_runner(amp)
    before, after = run(NonFiniteHook(), runner, [make_batch("large")])
    assert runner.optim_wrapper.loss_scaler.get_scale() == 2.0**15
    assert not runner.messages
    assert all(
        torch.equal(before[key], after[key]) for key in before if "running" not in key
    )


def test_overflow_at_any_loss_scale_is_not(amp):
    runner = make_runner(amp, loss_scale=dict(init_scale=2.0))
    run(NonFiniteHook(max_skips=1), runner, [make_batch("gradient")])
    assert "iteration 1, rank 0: the gradients\n" in runner.messages[0]


@pytest.mark.parametrize("kind", WRONG_LOSSES)
def test_wrong_loss_in_mixed_precision(amp, kind):
    runner = make_runner(amp)
    states = run(
        NonFiniteHook(max_skips=1), runner, [make_batch(), make_batch(kind, 1)]
    )
    assert same(states[1], states[2])
    assert "iteration 2, rank 0: loss, loss_b\n" in runner.messages[0]


def test_negative_budget():
    with pytest.raises(ValueError, match="max_skips .*-1"):
        NonFiniteHook(max_skips=-1)


class BlackOut(Hook):
    """Makes an image of the third batch NaN."""

    priority = "VERY_HIGH"

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        if runner.iter == 2:
            data_batch["inputs"][1] = data_batch["inputs"][1] * torch.tensor(NAN)


def test_a_run_goes_on_without_the_image(tmp_path, coco, mpii):
    cfg = run_config(tmp_path / "run", coco, mpii, UDA)
    runner = make_real_runner(cfg, max_skips=1)
    runner.train()
    assert runner.iter == 6
    checkpoint = torch.load(tmp_path / "run/epoch_2.pth", weights_only=False)
    assert checkpoint["message_hub"]["runtime_info"]["skipped_steps"] == 1
    state = checkpoint["state_dict"]
    assert any("mean_teacher" in key and "running_mean" in key for key in state)
    assert all(value.isfinite().all() for value in state.values())
    [log] = (tmp_path / "run").glob("*/*.log")
    assert "iteration 3, rank 0: loss, source.loss_kpt" in log.read_text()
    folder = coco["data_prefix"]["img"]
    assert f"\n  domain source, img_path {folder}" in log.read_text()
    assert "domain target" not in log.read_text().split("iteration 3, rank 0")[1][:999]


def test_a_run_ends_before_it_is_spoiled(tmp_path, coco, mpii):
    cfg = run_config(tmp_path / "run", coco, mpii, UDA)
    cfg.default_hooks.checkpoint.update(interval=1, by_epoch=False)
    runner = make_real_runner(cfg, max_skips=0)
    with pytest.raises(FloatingPointError, match="iteration 3, rank 0"):
        runner.train()
    names = {path.name for path in (tmp_path / "run").glob("*.pth")}
    assert names == {"iter_1.pth", "iter_2.pth"}
    assert all(v.isfinite().all() for v in runner.model.state_dict().values())


def make_real_runner(cfg, max_skips: int) -> Runner:
    HOOKS.register_module(module=BlackOut, force=True)
    cfg.custom_hooks.append(dict(type="BlackOut"))
    cfg.default_hooks.non_finite = dict(type="NonFiniteHook", max_skips=max_skips)
    cfg.val_cfg = cfg.val_dataloader = cfg.val_evaluator = None
    cfg.experiment_name = "non_finite"
    return Runner.from_cfg(cfg)


def run_rank(rank, folder):
    """One of two processes; the second has batches that are not finite."""
    import mmpose_da  # noqa: F401 - registers everything in the new process

    torch.set_num_threads(1)
    torch.distributed.init_process_group(
        "gloo", init_method=f"file://{folder}/store", rank=rank, world_size=2
    )
    kinds = ("fine", "nan", "fine", "constant", "gradient", "fine", "fine", "nan")
    batches = [
        make_batch(kind if rank == 1 else "fine", 10 * rank + seed)
        for seed, kind in enumerate(kinds)
    ]
    for counts in (1, 2):
        runner = make_runner(accumulative_counts=counts)
        runner.message_hub = MessageHub.get_instance(f"steps of {counts} batches")
        runner.model = MMDistributedDataParallel(runner.model)
        try:
            run(NonFiniteHook(max_skips=3), runner, batches)
        except FloatingPointError as error:
            runner.messages.append(str(error))
        torch.save((state_of(runner), runner.messages), f"{folder}/{counts}_{rank}")
    torch.distributed.destroy_process_group()


@pytest.mark.slow
def test_two_processes_skip_and_stop_together(tmp_path):
    multiprocessing.spawn(run_rank, args=(str(tmp_path),), nprocs=2)
    for counts in (1, 2):
        (first, messages), (second, of_second) = (
            torch.load(tmp_path / f"{counts}_{rank}") for rank in (0, 1)
        )
        for key, value in first.items():
            assert value.isfinite().all() and second[key].isfinite().all()
            assert "running" in key or torch.equal(value, second[key])
        assert messages == of_second and len(messages) == 4
        for message, iteration in zip(
            messages[:2] + messages[3:], (2, 4, 8), strict=True
        ):
            assert f"iteration {iteration}, rank 1: loss, loss_b" in message
            assert "rank 0" not in message
        for rank in (0, 1):  # after the batches 5 and 6, or after 5 alone
            assert f"iteration {4 + counts}, rank {rank}: the grad" in messages[2]
        assert "max_skips=3" in messages[3]
