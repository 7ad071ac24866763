# MPII to COCO, ResNet-50, unsupervised: deep adaptation network, MMD.
_base_ = [
    './mpii2coco_res50_source-only.py',
    '../_base_/methods/feature_alignment.py',
]

model = dict(
    adaptations=dict(
        dan=_base_.dan))

train_dataloader = dict(
    batch_size=64,
    batch_sampler=dict(samples_per_domain=dict(target_unlabeled=32)),
    dataset=dict(target=_base_.target))
auto_scale_lr = dict(base_batch_size=64)
