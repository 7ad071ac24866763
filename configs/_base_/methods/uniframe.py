# Kim et al., "A Unified Framework for Domain Adaptive Pose Estimation", ECCV 2022, with
# the settings of its code.

# Student, teacher, and source images have views of one kind.
uniframe_view = dict(
    type='RandomView',
    rotation=60,
    scale=(0.6, 1.3),
    shear=30,
    translation=0.05,
    brightness=0.25,
    contrast=0.25,
    saturation=0.25)
uniframe_source = dict(type='LabeledViews', view=uniframe_view)

uniframe_teacher = dict(
    type='MeanTeacher',
    student_view=uniframe_view,
    teacher_view=uniframe_view,
    momentum=0.999,
    gamma=0,
    share=0.5,
    share_of='all',
    # 20 of 256 pixels
    occlusion=dict(
        prob=0.5, size=(0.08, 0.08), per='image', patch='same', threshold=0.9),
    # A mean square, while the source has half of one.
    weight=2.0)
