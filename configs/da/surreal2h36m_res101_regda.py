# SURREAL to Human3.6M, ResNet-101, unsupervised: RegDA. Its code has a third of the
# iterations for this pair, with the same ramp.
_base_ = [
    './surreal2h36m_res101_source-only.py',
    '../_base_/methods/regda.py',
    '../_base_/schedules/regda.py',
]

# After all epochs of the source-only run. Both regressors are new, as in RegDA's code.
load_from = 'work_dirs/surreal2h36m_res101_source-only/iter_35000.pth'

model = dict(
    statistics='domain',
    head=dict(_base_.regda_head, conv_out_channels=(256, )),
    adaptations=dict(
        regda=dict(_base_.regda, rampup=dict(curve='sigmoid', end=10000))))

train_dataloader = dict(
    batch_size=64,
    batch_sampler=dict(samples_per_domain=dict(target_unlabeled=32)),
    dataset=dict(target=_base_.target))
auto_scale_lr = dict(base_batch_size=64)

optim_wrapper = _base_.regda_optimizer
train_cfg = dict(max_iters=5000)
param_scheduler = _base_.regda_schedule
