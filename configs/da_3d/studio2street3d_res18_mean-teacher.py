# The embedded pair in 3D, unsupervised: a mean teacher alone.
_base_ = [
    './studio2street3d_res18_mixed.py',
    '../_base_/methods/multi_level_alignment.py',
]

# In 500 iterations the teacher has to follow sooner. A shear has no 3D counterpart.
model = dict(
    adaptations=dict(
        mean_teacher=dict(
            _base_.mean_teacher,
            student_view=dict(_base_.mean_teacher.student_view, shear=0),
            momentum=0.98,
            share=0.7)),
    test_cfg=dict(network='teacher'))

custom_hooks = [*_base_.custom_hooks, _base_.ema_teacher_hook]
