# RHD to FreiHAND, ResNet-101, unsupervised: multi-level alignment.
# `configs/style/adain_rhd2freihand.py` trains the decoder of the style transfer.
_base_ = [
    './rhd2freihand_res101_source-only.py',
    '../_base_/methods/multi_level_alignment.py',
    '../_base_/schedules/res101_mla.py',
]

# After 40 epochs of the source-only run.
load_from = 'work_dirs/rhd2freihand_res101_source-only/iter_20000.pth'

style_decoder = 'work_dirs/adain_rhd2freihand/iter_160000.pth'
model = dict(
    adaptations=dict(
        style=dict(
            _base_.style, style=dict(_base_.style.style, decoder=style_decoder)),
        mean_teacher=_base_.mean_teacher,
        adversarial=_base_.adversarial,
        info_max=_base_.info_max),
    test_cfg=dict(network='teacher'))

train_dataloader = dict(
    batch_size=64,
    batch_sampler=dict(samples_per_domain=dict(target_unlabeled=32)),
    dataset=dict(target=_base_.target))
auto_scale_lr = dict(base_batch_size=64)

custom_hooks = [*_base_.custom_hooks, _base_.ema_teacher_hook]

train_cfg = dict(max_iters=15000)
param_scheduler = _base_.mla_schedule
