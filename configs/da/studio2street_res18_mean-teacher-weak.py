# The embedded pair, a small ResNet, unsupervised: a mean teacher whose student sees a
# weaker view, for upright people.
_base_ = [
    './studio2street_res18_mixed.py',
    '../_base_/methods/best.py',
]

model = dict(
    adaptations=dict(
        mean_teacher=dict(_base_.upright_teacher, momentum=0.98, share=0.7)),
    test_cfg=dict(network='teacher'))

custom_hooks = [*_base_.custom_hooks, _base_.ema_teacher_hook]
