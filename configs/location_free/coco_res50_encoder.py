# COCO, ResNet-50: with the context encoder.
_base_ = './coco_res50_cam.py'

model = dict(head=dict(encoder=_base_.encoder))
