# The embedded pair, a small ResNet, source only: the source model, trained further.
# Every row has this budget and 32 images per step.
_base_ = './studio2street_res18_pretrain.py'

load_from = 'work_dirs/studio2street_res18_pretrain/iter_1000.pth'

train_cfg = dict(max_iters=500, val_interval=250)
