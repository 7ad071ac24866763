# What does best on the rendered pair: a mean teacher whose student sees a weak view.
# docs/benchmark.md says what else was tried.
_base_ = './multi_level_alignment.py'

best_teacher = dict(
    _base_.mean_teacher,
    student_view=dict(
        _base_.mean_teacher.student_view,
        rotation=15,
        scale=(0.9, 1.1),
        shear=0),
    share=0.7)
