# ResNet-101 at 256 px, from ImageNet weights, for the pairs with a synthetic source.
# The budget, the rotation of bodies and animals, and the scale are those of Kim et al.,
# "A Unified Framework for Domain Adaptive Pose Estimation", ECCV 2022: 70 epochs of 500
# steps, with a lower learning rate after 45 and 60. Their shear, blur, and color jitter
# are not used.
_base_ = [
    'mmpose::body_2d_keypoint/topdown_heatmap/mpii/'
    'td-hm_res101_8xb64-210e_mpii-256x256.py',
    '../runtime.py',
]

# The factor turns MMPose's mean over pixels into a squared distance of heatmaps.
model = dict(
    type='DomainAdaptiveTopdown',
    head=dict(loss=dict(loss_weight=64 * 64)),
    test_cfg=dict(flip_test=False))

# The box is the crop, whose side normalizes PCK@0.05.
train_pipeline = [
    dict(type='LoadImage'),
    dict(type='GetBBoxCenterScale', padding=1.0),
    dict(type='RandomFlip', direction='horizontal'),
    dict(
        type='RandomBBoxTransform',
        shift_prob=0,
        scale_factor=(0.6, 1.3),
        rotate_factor=60),
    dict(type='TopdownAffine', input_size=_base_.codec['input_size']),
    dict(type='GenerateTarget', encoder=_base_.codec),
    dict(type='PackPoseInputs')
]
val_pipeline = [
    dict(type='LoadImage'),
    dict(type='GetBBoxCenterScale', padding=1.0),
    dict(type='TopdownAffine', input_size=_base_.codec['input_size']),
    dict(type='PackPoseInputs')
]

train_dataloader = dict(
    batch_size=32,
    worker_init_fn=_base_.worker_init_fn,
    batch_sampler=dict(
        type='MixedDomainBatchSampler', samples_per_domain=dict(source=32)),
    dataset=dict(
        _delete_=True, type='MixedDomainDataset', pipeline=train_pipeline))
val_dataloader = dict(worker_init_fn=_base_.worker_init_fn)

train_cfg = dict(
    _delete_=True, **_base_.exact_iters, max_iters=35000, val_interval=5000)
optim_wrapper = dict(optimizer=dict(lr=1e-4))
param_scheduler = [
    dict(type='LinearLR', begin=0, end=500, start_factor=0.001, by_epoch=False),
    dict(
        type='MultiStepLR', begin=0, end=35000, milestones=[22500, 30000], gamma=0.1,
        by_epoch=False)
]
auto_scale_lr = dict(base_batch_size=32)
log_processor = dict(by_epoch=False)

# The adapted rows start from the checkpoint of iteration 20,000, after 40 epochs.
default_hooks = dict(
    checkpoint=dict(
        _base_.safe_checkpoints, interval=5000, by_epoch=False, max_keep_ckpts=4),
    **_base_.checks)
