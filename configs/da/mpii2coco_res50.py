# MPII to COCO, ResNet-50, unsupervised: no labels in the target domain.
_base_ = [
    './mpii2coco_res50_source-only.py',
    '../_base_/methods/human_level_shift.py',
]

model = dict(
    adaptations=dict(
        cafa=_base_.cafa,
        ihta=_base_.resnet_ihta,
        entropy=_base_.entropy))

train_dataloader = dict(
    batch_size=64,
    batch_sampler=dict(samples_per_domain=dict(target_unlabeled=32)),
    dataset=dict(target=_base_.target))
auto_scale_lr = dict(base_batch_size=64)
