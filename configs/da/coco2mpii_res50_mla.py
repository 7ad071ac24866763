# COCO to MPII, ResNet-50, unsupervised: multi-level alignment, all of it.
_base_ = './coco2mpii_res50_mean-teacher-style.py'

model = dict(
    adaptations=dict(
        adversarial=_base_.adversarial,
        info_max=_base_.info_max))
