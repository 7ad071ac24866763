# The embedded pair, a small ResNet, unsupervised: a mean teacher for people in any
# orientation, to run with `--pair`. The people of the street are upright.
_base_ = [
    './studio2street_res18_mixed.py',
    '../_base_/methods/best.py',
]

model = dict(
    adaptations=dict(
        views=_base_.turned_source,
        mean_teacher=dict(_base_.turned_teacher, momentum=0.98)),
    test_cfg=dict(network='teacher'))

custom_hooks = [*_base_.custom_hooks, _base_.ema_teacher_hook]
