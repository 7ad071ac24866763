# COCO, ResNet-50: the whole model, with relations among the prototypes.
_base_ = './coco_res50_prototypes.py'

model = dict(head=dict(relations=_base_.relations))
