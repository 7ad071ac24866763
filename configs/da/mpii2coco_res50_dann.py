# MPII to COCO, ResNet-50, unsupervised: domain-adversarial training.
_base_ = [
    './mpii2coco_res50_mixed.py',
    '../_base_/methods/feature_alignment.py',
]

model = dict(
    adaptations=dict(
        dann=_base_.dann))
