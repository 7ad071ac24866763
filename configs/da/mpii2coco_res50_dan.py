# MPII to COCO, ResNet-50, unsupervised: deep adaptation network, MMD.
_base_ = [
    './mpii2coco_res50_mixed.py',
    '../_base_/methods/feature_alignment.py',
]

model = dict(
    adaptations=dict(
        dan=_base_.dan))
