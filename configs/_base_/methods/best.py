# The recipe of this toolbox: a mean teacher whose views suit the people of the target,
# and source images of which patches of the target hide parts. docs/benchmark.md has the
# trials behind it.
_base_ = './multi_level_alignment.py'

patches = dict(type='PastedPatches')

# People who are upright, as most are: the student sees them nearly as they are.
upright_teacher = dict(
    _base_.mean_teacher,
    student_view=dict(
        _base_.mean_teacher.student_view, rotation=15, scale=(0.9, 1.1), shear=0))

# People in any orientation, such as athletes, without patches: source images turn as
# well. Most pseudo-labels are wrong at first, so that the teacher waits for a third of
# the run, and only the surest are taught. The threshold leaves out joints that the
# source does not label.
turned_teacher = dict(
    upright_teacher,
    student_view=dict(upright_teacher['student_view'], rotation=60),
    share=0.2,
    threshold=0.1,
    rampup=dict(begin=1 / 3))
turned_source = dict(
    type='LabeledViews', view=dict(type='RandomView', rotation=180))
