# The embedded pair in 3D: target images pass through the network, and thus through its
# batch normalization, without a loss of their own.
_base_ = './studio2street3d_res18_source-only.py'

train_dataloader = dict(
    batch_sampler=dict(samples_per_domain=dict(source=16, target_unlabeled=16)),
    dataset=dict(target=_base_.target))
