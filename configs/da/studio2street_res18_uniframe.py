# The embedded pair, a small ResNet, unsupervised: UniFrame with the settings of its
# code, but for the style and, in 500 iterations, a teacher that follows faster.
_base_ = [
    './studio2street_res18_mixed.py',
    '../_base_/methods/multi_level_alignment.py',
    '../_base_/methods/uniframe.py',
]

model = dict(
    statistics='domain',
    adaptations=dict(
        style=_base_.light_style,
        source_view=_base_.uniframe_source,
        mean_teacher=dict(_base_.uniframe_teacher, momentum=0.98)),
    test_cfg=dict(network='teacher'))

custom_hooks = [*_base_.custom_hooks, _base_.ema_teacher_hook]
