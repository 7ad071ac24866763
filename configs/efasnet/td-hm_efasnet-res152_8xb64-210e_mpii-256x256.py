# EFASNet-152 on MPII at 256 x 256.
_base_ = './td-hm_efasnet-res50_8xb64-210e_mpii-256x256.py'

model = dict(
    backbone=dict(
        depth=152, init_cfg=dict(checkpoint='torchvision://resnet152')))
