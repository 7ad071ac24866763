# CrowdPose, ResNet-50: the whole model, with relations among the prototypes.
_base_ = './crowdpose_res50_prototypes.py'

model = dict(head=dict(relations=_base_.relations))
