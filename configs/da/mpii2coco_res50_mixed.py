# MPII to COCO, ResNet-50: unlabeled target images pass through the network, and thus
# through its batch normalization, without a loss of their own. What the unsupervised
# rows gain over this one comes from their losses.
_base_ = './mpii2coco_res50_source-only.py'

train_dataloader = dict(
    batch_size=64,
    batch_sampler=dict(samples_per_domain=dict(target_unlabeled=32)),
    dataset=dict(target=_base_.target))
auto_scale_lr = dict(base_batch_size=64)
