# The embedded pair, a small ResNet, target with part labels only: the mass of the
# heatmaps in each part is classified beside a mean teacher.
_base_ = [
    './studio2street_res18_parts.py',
    '../_base_/methods/multi_level_alignment.py',
]

# As in the row with the mean teacher alone, except that the student's view is at most
# as large as the crop: it cuts hardly a joint off, whose part labels would be wrong.
model = dict(
    adaptations=dict(
        mean_teacher=dict(
            _base_.mean_teacher,
            student_view=dict(_base_.mean_teacher.student_view, scale=(0.75, 1.0)),
            momentum=0.98,
            share=0.7)),
    test_cfg=dict(network='teacher'))

custom_hooks = [*_base_.custom_hooks, _base_.ema_teacher_hook]
