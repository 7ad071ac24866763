# MPII to COCO, ResNet-50, semi-supervised: ISA alone, 20 % of the target images
# have labels.
_base_ = [
    './mpii2coco_res50_source-only.py',
    '../_base_/methods/human_level_shift.py',
]

model = dict(adaptations=dict(isa=_base_.isa))

train_dataloader = dict(
    batch_size=64,
    batch_sampler=dict(
        samples_per_domain=dict(target_labeled=16, target_unlabeled=16)),
    dataset=dict(target=_base_.target, labeled_target=dict(ratio=0.2)))
auto_scale_lr = dict(base_batch_size=64)
