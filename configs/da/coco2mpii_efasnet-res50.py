# COCO to MPII, EFASNet-50, unsupervised: CAFA, IHTA, and entropy.
_base_ = ['./coco2mpii_res50.py', '../_base_/models/efasnet.py']

# The model of the source domain
load_from = 'work_dirs/td-hm_efasnet-res50_8xb64-210e_coco-256x192/epoch_210.pth'

model = _base_.efasnet
