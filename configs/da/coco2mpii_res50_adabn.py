# COCO to MPII, ResNet-50, AdaBN: the source model with the batch-norm statistics of
# unlabeled target images. Nothing is trained: the floor of every table.
_base_ = './coco2mpii_res50_source-only.py'

train_dataloader = dict(
    batch_sampler=dict(
        samples_per_domain=dict(_delete_=True, target_unlabeled=32)),
    dataset=dict(
        source=None, target=_base_.target, pipeline=_base_.val_pipeline))
train_cfg = dict(
    _delete_=True, type='AdaBNLoop', max_iters=500, val_interval=500)
param_scheduler = None
log_processor = dict(by_epoch=False)
default_hooks = dict(checkpoint=dict(by_epoch=False, interval=500))
