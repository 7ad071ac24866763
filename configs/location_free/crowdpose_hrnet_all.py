# CrowdPose, HRNet-W32: the whole model, with relations among the prototypes.
_base_ = './crowdpose_hrnet_prototypes.py'

model = dict(head=dict(relations=_base_.relations))
