# COCO to MPII, ResNet-50, unsupervised: what does best on the rendered pair.
_base_ = ['./coco2mpii_res50_mixed.py', '../_base_/methods/best.py']

model = dict(
    adaptations=dict(mean_teacher=_base_.best_teacher),
    test_cfg=dict(network='teacher'))

custom_hooks = [*_base_.custom_hooks, _base_.ema_teacher_hook]
