# COCO to MPII, ResNet-50, unsupervised: a mean teacher alone.
_base_ = [
    './coco2mpii_res50_mixed.py',
    '../_base_/methods/multi_level_alignment.py',
]

model = dict(
    adaptations=dict(mean_teacher=_base_.mean_teacher),
    test_cfg=dict(network='teacher'))

custom_hooks = [*_base_.custom_hooks, _base_.ema_teacher_hook]
