# COCO, HRNet-W32: the whole model, with relations among the prototypes.
_base_ = './coco_hrnet_prototypes.py'

model = dict(head=dict(relations=_base_.relations))
