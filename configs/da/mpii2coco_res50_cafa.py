# MPII to COCO, ResNet-50, unsupervised: CAFA alone.
_base_ = [
    './mpii2coco_res50_mixed.py',
    '../_base_/methods/human_level_shift.py',
]

model = dict(
    adaptations=dict(
        cafa=_base_.cafa))
