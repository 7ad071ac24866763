# COCO to MPII, ResNet-50, source-free: a mean teacher and information maximization on
# target images alone, from the source model.
_base_ = './coco2mpii_res50_mean-teacher-info-max.py'

train_dataloader = dict(
    batch_size=32,
    batch_sampler=dict(
        samples_per_domain=dict(_delete_=True, target_unlabeled=32)),
    dataset=dict(source=None))
auto_scale_lr = dict(base_batch_size=32)
