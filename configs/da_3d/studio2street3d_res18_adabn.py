# The embedded pair in 3D, AdaBN: the source model with the batch-norm statistics of
# unlabeled target images. Nothing is trained: the floor of every table.
_base_ = './studio2street3d_res18_source-only.py'

train_dataloader = dict(
    batch_sampler=dict(
        samples_per_domain=dict(_delete_=True, target_unlabeled=32)),
    dataset=dict(
        source=None, target=_base_.target, pipeline=_base_.val_pipeline))
train_cfg = dict(type='AdaBNLoop')
param_scheduler = None
