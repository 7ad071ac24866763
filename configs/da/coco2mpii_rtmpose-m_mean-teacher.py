# COCO to MPII, RTMPose-m, unsupervised: a mean teacher alone.
_base_ = [
    './coco2mpii_rtmpose-m_source-only.py',
    '../_base_/methods/multi_level_alignment.py',
]

model = dict(
    adaptations=dict(mean_teacher=_base_.mean_teacher),
    test_cfg=dict(network='teacher'))

train_dataloader = dict(
    batch_size=64,
    batch_sampler=dict(samples_per_domain=dict(target_unlabeled=32)),
    dataset=dict(target=_base_.target))
auto_scale_lr = dict(base_batch_size=64)

custom_hooks = [_base_.ema_teacher_hook]
