from types import SimpleNamespace

import pytest
import torch
from mmengine.model import MMDistributedDataParallel
from mmengine.registry import init_default_scope
from mmengine.runner import Runner
from tiny_model import batch, build
from tiny_run import UDA, run_config
from torch import multiprocessing

from mmpose_da.engine import EMATeacherHook


def make_model():
    torch.manual_seed(0)
    return build(
        joints="MpiiDataset",
        adaptations=dict(mt=dict(type="MeanTeacher", momentum=0.5)),
    )


def runner_of(model, due=True):
    return SimpleNamespace(
        model=model, optim_wrapper=SimpleNamespace(should_update=lambda: due)
    )


def distance(model):
    teacher = dict(model.adaptations["mt"].teacher.named_parameters())
    return sum(
        (p - teacher[name]).abs().sum()
        for name, p in model.named_parameters()
        if name in teacher
    )


def test_teacher_starts_as_the_student_that_was_loaded():
    model = make_model()
    with torch.no_grad():  # like a checkpoint that is loaded after building
        for parameter in model.backbone.parameters():
            parameter.add_(1.0)
    assert distance(model) > 0
    hook = EMATeacherHook()
    hook.before_train(runner_of(model))
    assert distance(model) == 0


def test_teacher_of_a_resumed_run_goes_on():
    model, hook = make_model(), EMATeacherHook()
    hook.before_train(runner_of(model))
    with torch.no_grad():
        for parameter in model.head.parameters():
            parameter.add_(1.0)
    hook.after_train_iter(runner_of(model), 0)
    before = distance(model)
    assert before > 0
    resumed = make_model()
    resumed.load_state_dict(model.state_dict())
    hook.before_train(runner_of(resumed))
    assert distance(resumed) == before
    assert resumed.adaptations["mt"].average.steps == 2


def test_teacher_waits_while_gradients_add_up():
    model, hook = make_model(), EMATeacherHook()
    hook.before_train(runner_of(model))
    hook.after_train_iter(runner_of(model, due=False), 0)
    assert model.adaptations["mt"].average.steps == 1
    hook.after_train_iter(runner_of(model, due=True), 1)
    assert model.adaptations["mt"].average.steps == 2


def test_hook_without_a_teacher():
    model = build(adaptations=dict(entropy=dict(type="EntropyMinimization")))
    with pytest.raises(ValueError, match="no MeanTeacher"):
        EMATeacherHook().before_train(runner_of(model))


def test_gradients_of_two_batches_make_one_step_of_the_teacher(tmp_path, coco, mpii):
    cfg = run_config(tmp_path, coco, mpii, UDA, max_epochs=2)
    cfg.optim_wrapper.accumulative_counts = 2
    cfg.val_cfg = cfg.val_dataloader = cfg.val_evaluator = None
    cfg.experiment_name = "accumulating"
    runner = Runner.from_cfg(cfg)
    runner.train()
    assert runner.iter == 6
    # Three steps, after the first, which is the copy.
    assert runner.model.adaptations["mean_teacher"].average.steps == 4


def run_rank(rank, folder):
    """One of two processes, each with its own images; saves its teacher."""
    import mmpose_da  # noqa: F401 - registers everything in the new process

    init_default_scope("mmpose")
    torch.set_num_threads(1)
    torch.distributed.init_process_group(
        "gloo", init_method=f"file://{folder}/store", rank=rank, world_size=2
    )
    model, hook = make_model(), EMATeacherHook()
    wrapped = MMDistributedDataParallel(model, find_unused_parameters=True)
    hook.before_train(runner_of(wrapped))
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    torch.manual_seed(rank)
    for _ in range(2):
        images, samples = batch(source=1, target_unlabeled=2)
        losses = wrapped(images, samples, mode="loss")
        sum(value for name, value in losses.items() if "loss" in name).backward()
        optimizer.step()
        optimizer.zero_grad()
        hook.after_train_iter(runner_of(wrapped), 0)
    teacher = model.adaptations["mt"].teacher.state_dict()
    torch.save(
        dict(student=model.backbone.state_dict(), teacher=teacher), f"{folder}/{rank}"
    )
    torch.distributed.destroy_process_group()


@pytest.mark.slow
def test_teacher_is_the_same_in_two_processes(tmp_path):
    multiprocessing.spawn(run_rank, args=(str(tmp_path),), nprocs=2)
    first, second = (torch.load(tmp_path / str(rank)) for rank in (0, 1))
    for name, value in first["teacher"].items():
        torch.testing.assert_close(value, second["teacher"][name], msg=name)
    # What the processes do not share is there to be made equal.
    running = "bn1.running_mean"
    assert not torch.equal(first["student"][running], second["student"][running])
