# COCO to MPII, ResNet-50, unsupervised: a mean teacher, domain-adversarial training,
# and information maximization.
_base_ = './coco2mpii_res50_mean-teacher.py'

model = dict(
    adaptations=dict(
        adversarial=_base_.adversarial,
        info_max=_base_.info_max))
