# EFASNet-101 on MPII at 384 x 384.
_base_ = './td-hm_efasnet-res50_8xb64-210e_mpii-384x384.py'

model = dict(
    backbone=dict(
        depth=101, init_cfg=dict(checkpoint='torchvision://resnet101')))
