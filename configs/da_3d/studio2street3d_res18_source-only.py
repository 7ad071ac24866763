# The embedded pair in 3D, source only: the source model, trained longer. Every row has
# this budget and 32 images a step.
_base_ = './studio2street3d_res18_pretrain.py'

load_from = 'work_dirs/studio2street3d_res18_pretrain/iter_1000.pth'

train_cfg = dict(max_iters=500, val_interval=250)
