# Training of the AdaIN decoder: Huang and Belongie, "Arbitrary Style Transfer in
# Real-time with Adaptive Instance Normalization", ICCV 2017. As in the paper, a step
# has 8 contents, each with a style; here, the styles come from the other domain.
_base_ = ['mmpose::_base_/default_runtime.py', '../runtime.py']

model = dict(
    type='AdaINTrainer',
    encoder='torchvision://vgg19',
    style_weight=10.0,
    data_preprocessor=dict(
        type='PoseDataPreprocessor', mean=[0, 0, 0], std=[255, 255, 255],
        bgr_to_rgb=True))

train_pipeline = [
    dict(type='LoadImage'),
    dict(type='GetBBoxCenterScale'),
    dict(type='RandomFlip', direction='horizontal'),
    dict(type='RandomBBoxTransform'),
    dict(type='TopdownAffine', input_size=(256, 256)),
    dict(type='PackPoseInputs')
]
train_dataloader = dict(
    batch_size=8,
    num_workers=2,
    persistent_workers=True,
    worker_init_fn=_base_.worker_init_fn,
    sampler=dict(type='DefaultSampler', shuffle=True),
    batch_sampler=dict(
        type='MixedDomainBatchSampler',
        samples_per_domain=dict(source=4, target_unlabeled=4)),
    dataset=dict(type='MixedDomainDataset', pipeline=train_pipeline))

train_cfg = dict(_delete_=True, **_base_.exact_iters, max_iters=160000)
# There is no validation; the sample images show the progress.
val_cfg = None
test_cfg = None
custom_hooks = [dict(type='StyleSamplesHook', interval=1000)]

optim_wrapper = dict(optimizer=dict(type='Adam', lr=1e-4))
log_processor = dict(by_epoch=False)
default_hooks = dict(
    checkpoint=dict(
        _base_.safe_checkpoints, interval=10000, by_epoch=False, max_keep_ckpts=2),
    **_base_.checks)
