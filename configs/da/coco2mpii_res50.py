# COCO to MPII, ResNet-50, unsupervised: no labels in the target domain.
_base_ = [
    './coco2mpii_res50_mixed.py',
    '../_base_/methods/human_level_shift.py',
]

model = dict(
    adaptations=dict(
        cafa=_base_.cafa,
        ihta=_base_.resnet_ihta,
        entropy=_base_.entropy))
