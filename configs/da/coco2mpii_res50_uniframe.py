# COCO to MPII, ResNet-50, unsupervised: style transfer and a mean teacher whose student
# sees only some of the joints.
_base_ = './coco2mpii_res50_mean-teacher-style.py'

model = dict(
    adaptations=dict(mean_teacher=dict(occlusion=_base_.occlusion)))
