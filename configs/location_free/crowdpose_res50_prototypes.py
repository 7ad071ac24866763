# CrowdPose, ResNet-50: with the context encoder and pose prototypes.
_base_ = './crowdpose_res50_encoder.py'

model = dict(head=dict(prototypes=_base_.prototypes))
