# What does best on the rendered pair: a mean teacher whose student sees a weak view.
# docs/benchmark.md says what else was tried.
best_teacher = dict(
    type='MeanTeacher',
    student_view=dict(
        type='RandomView',
        rotation=15,
        scale=(0.9, 1.1),
        translation=0.05,
        flip_prob=0.5,
        brightness=0.3,
        contrast=0.3,
        saturation=0.3,
        hue=0.05,
        blur=(0, 1)),
    momentum=0.999,
    share=0.7,
    weight=1.0)
ema_teacher_hook = dict(type='EMATeacherHook')
