# MPII to COCO, ResNet-50, unsupervised: strong-weak alignment.
_base_ = [
    './mpii2coco_res50_mixed.py',
    '../_base_/methods/feature_alignment.py',
]

model = dict(
    adaptations=dict(
        strong_local=_base_.strong_local,
        weak_global=_base_.weak_global))
