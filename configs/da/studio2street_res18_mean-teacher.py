# The embedded pair, a small ResNet, unsupervised: a mean teacher alone.
_base_ = [
    './studio2street_res18_mixed.py',
    '../_base_/methods/multi_level_alignment.py',
]

# In 500 iterations, the teacher has to follow faster.
model = dict(
    adaptations=dict(
        mean_teacher=dict(_base_.mean_teacher, momentum=0.98, share=0.7)),
    test_cfg=dict(network='teacher'))

custom_hooks = [*_base_.custom_hooks, _base_.ema_teacher_hook]
