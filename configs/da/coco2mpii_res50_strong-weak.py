# COCO to MPII, ResNet-50, unsupervised: strong-weak alignment.
_base_ = [
    './coco2mpii_res50_mixed.py',
    '../_base_/methods/feature_alignment.py',
]

model = dict(
    adaptations=dict(
        strong_local=_base_.strong_local,
        weak_global=_base_.weak_global))
