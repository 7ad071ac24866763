# MPII to COCO, HRNet-W48, unsupervised: no labels in the target domain.
_base_ = [
    './mpii2coco_hrnet-w48_source-only.py',
    '../_base_/methods/human_level_shift.py',
]

model = dict(
    adaptations=dict(
        cafa=_base_.cafa,
        ihta=_base_.ihta,
        entropy=_base_.entropy))

train_dataloader = dict(
    batch_size=32,
    batch_sampler=dict(samples_per_domain=dict(target_unlabeled=16)),
    dataset=dict(target=_base_.target))
auto_scale_lr = dict(base_batch_size=32)
