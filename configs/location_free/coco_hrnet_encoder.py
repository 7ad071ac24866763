# COCO, HRNet-W32: with the context encoder.
_base_ = './coco_hrnet_cam.py'

model = dict(head=dict(encoder=_base_.encoder))
