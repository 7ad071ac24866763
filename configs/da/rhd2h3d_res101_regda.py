# RHD to Hand-3D-Studio, ResNet-101, unsupervised: RegDA.
_base_ = [
    './rhd2h3d_res101_source-only.py',
    '../_base_/methods/regda.py',
    '../_base_/schedules/regda.py',
]

# After all epochs of the source-only run. Both regressors are new, as in RegDA's code.
load_from = 'work_dirs/rhd2h3d_res101_source-only/iter_35000.pth'

model = dict(
    statistics='domain',
    head=dict(_base_.regda_head, conv_out_channels=(256, )),
    adaptations=dict(regda=_base_.regda))

train_dataloader = dict(
    batch_size=64,
    batch_sampler=dict(samples_per_domain=dict(target_unlabeled=32)),
    dataset=dict(target=_base_.target))
auto_scale_lr = dict(base_batch_size=64)

optim_wrapper = _base_.regda_optimizer
train_cfg = dict(max_iters=15000)
param_scheduler = _base_.regda_schedule
