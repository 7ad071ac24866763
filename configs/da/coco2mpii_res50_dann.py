# COCO to MPII, ResNet-50, unsupervised: domain-adversarial training.
_base_ = [
    './coco2mpii_res50_mixed.py',
    '../_base_/methods/feature_alignment.py',
]

model = dict(
    adaptations=dict(
        dann=_base_.dann))
