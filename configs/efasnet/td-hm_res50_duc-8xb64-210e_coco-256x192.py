# SimpleBaseline with ResNet-50 on COCO at 256 x 192, and DUC in the head.
_base_ = './td-hm_efasnet-res50_8xb64-210e_coco-256x192.py'

model = _base_.duc
