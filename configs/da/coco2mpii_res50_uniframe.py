# COCO to MPII, ResNet-50, unsupervised: UniFrame with the settings of its code.
# `configs/style/adain_coco2mpii.py` trains the decoder of the style transfer.
_base_ = [
    './coco2mpii_res50_mixed.py',
    '../_base_/methods/multi_level_alignment.py',
    '../_base_/methods/uniframe.py',
]

style_decoder = 'work_dirs/adain_coco2mpii/iter_160000.pth'
model = dict(
    statistics='domain',
    adaptations=dict(
        style=dict(
            _base_.style, style=dict(_base_.style.style, decoder=style_decoder)),
        source_view=_base_.uniframe_source,
        mean_teacher=_base_.uniframe_teacher),
    test_cfg=dict(network='teacher'))

custom_hooks = [*_base_.custom_hooks, _base_.ema_teacher_hook]
