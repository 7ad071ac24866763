# COCO to MPII, ResNet-50, unsupervised: a mean teacher and style transfer.
# `configs/style/adain_coco2mpii.py` trains the decoder.
_base_ = './coco2mpii_res50_mean-teacher.py'

style_decoder = 'work_dirs/adain_coco2mpii/iter_160000.pth'
model = dict(
    adaptations=dict(
        _delete_=True,
        style=dict(
            _base_.style, style=dict(_base_.style.style, decoder=style_decoder)),
        mean_teacher=_base_.mean_teacher))
