# EFASNet-152 on CrowdPose at 256 x 192.
_base_ = './td-hm_efasnet-res50_8xb64-210e_crowdpose-256x192.py'

model = dict(
    backbone=dict(
        depth=152, init_cfg=dict(checkpoint='torchvision://resnet152')))
