# COCO to MPII, ResNet-50, unsupervised: the recipe of this toolbox for upright people.
_base_ = [
    './coco2mpii_res50_mixed.py',
    '../_base_/methods/best.py',
]

model = dict(
    adaptations=dict(
        patches=_base_.patches, mean_teacher=_base_.upright_teacher),
    test_cfg=dict(network='teacher'))

custom_hooks = [*_base_.custom_hooks, _base_.ema_teacher_hook]
