# COCO to MPII, ResNet-50, unsupervised: strong-weak alignment.
_base_ = [
    './coco2mpii_res50_source-only.py',
    '../_base_/methods/feature_alignment.py',
]

model = dict(
    adaptations=dict(
        strong_local=_base_.strong_local,
        weak_global=_base_.weak_global))

train_dataloader = dict(
    batch_size=64,
    batch_sampler=dict(samples_per_domain=dict(target_unlabeled=32)),
    dataset=dict(target=_base_.target))
auto_scale_lr = dict(base_batch_size=64)
