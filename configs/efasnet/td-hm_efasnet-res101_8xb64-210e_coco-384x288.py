# EFASNet-101 on COCO at 384 x 288.
_base_ = './td-hm_efasnet-res50_8xb64-210e_coco-384x288.py'

model = dict(
    backbone=dict(
        depth=101, init_cfg=dict(checkpoint='torchvision://resnet101')))
