# COCO to MPII, ResNet-50, unsupervised: IHTA alone.
_base_ = [
    './coco2mpii_res50_mixed.py',
    '../_base_/methods/human_level_shift.py',
]

model = dict(
    adaptations=dict(
        ihta=_base_.resnet_ihta))
