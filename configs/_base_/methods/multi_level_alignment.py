# Chen et al., "Domain Adaptive Pose Estimation via Multi-level Alignment": a student
# and its mean teacher, aligned at three levels. The paper's text does not give the
# weights.
style = dict(  # image level
    type='StyleTransfer',
    style=dict(type='AdaINStyle', encoder='torchvision://vgg19'),
    share=0.5,
    teacher_share=0.5)
# For machines without the weights of VGG-19 and the decoder: colors only.
light_style = dict(
    type='StyleTransfer',
    style=dict(type='FourierStyle', beta=0.02),
    share=0.5,
    teacher_share=0.5)
adversarial = dict(  # feature level
    type='DomainAdversarial',
    discriminator=dict(type='GlobalDomainDiscriminator'),
    reversal=0.1,
    rampup=dict(curve='sigmoid'))
info_max = dict(  # pose level
    type='InformationMaximization',
    loss=dict(type='InfoMaxLoss', temperature=0.1),
    weight=0.01)

# The teacher sees the crop, the student a strong view of it.
mean_teacher = dict(
    type='MeanTeacher',
    student_view=dict(
        type='RandomView',
        rotation=30,
        scale=(0.75, 1.25),
        shear=10,
        translation=0.05,
        flip_prob=0.5,
        brightness=0.3,
        contrast=0.3,
        saturation=0.3,
        hue=0.05,
        blur=(0, 1)),
    momentum=0.999,
    share=0.5,
    weight=1.0)
ema_teacher_hook = dict(type='EMATeacherHook')
