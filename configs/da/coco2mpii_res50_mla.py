# COCO to MPII, ResNet-50, unsupervised: full multi-level alignment.
_base_ = './coco2mpii_res50_mean-teacher-style.py'

model = dict(
    adaptations=dict(
        adversarial=_base_.adversarial,
        info_max=_base_.info_max))
