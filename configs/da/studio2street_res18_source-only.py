# The embedded pair, a small ResNet, source only: the source model, trained on.
_base_ = './studio2street_res18_pretrain.py'

load_from = 'work_dirs/studio2street_res18_pretrain/iter_1500.pth'

train_cfg = dict(max_iters=500, val_interval=250)
optim_wrapper = dict(optimizer=dict(lr=5e-4))
