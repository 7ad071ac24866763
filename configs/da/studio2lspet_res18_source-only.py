# Studio to Leeds Sports Pose Extended, a small ResNet at 96 px, source only. Trains on
# a CPU in minutes.
_base_ = [
    'mmpose::body_2d_keypoint/topdown_heatmap/mpii/'
    'td-hm_res50_8xb64-210e_mpii-256x256.py',
    '../_base_/domains/studio2lspet.py',
]
custom_imports = dict(imports=['mmpose_da'])

codec = dict(
    type='MSRAHeatmap', input_size=(96, 96), heatmap_size=(24, 24), sigma=1.5)

# The factor makes MMPose's mean over pixels the squared distance of two heatmaps.
model = dict(
    type='DomainAdaptiveTopdown',
    joints=_base_.joints,
    backbone=dict(depth=18, base_channels=32, init_cfg=None),
    head=dict(
        in_channels=256,
        out_channels=14,
        deconv_out_channels=(64, 64, 64),
        loss=dict(loss_weight=24 * 24),
        decoder=codec))

train_pipeline = [
    dict(type='LoadImage'),
    dict(type='GetBBoxCenterScale'),
    dict(type='RandomFlip', direction='horizontal'),
    dict(type='RandomBBoxTransform', shift_prob=0),
    dict(type='TopdownAffine', input_size=codec['input_size']),
    dict(type='GenerateTarget', encoder=codec),
    dict(type='PackPoseInputs')
]
val_pipeline = [
    dict(type='LoadImage'),
    dict(type='GetBBoxCenterScale'),
    dict(type='TopdownAffine', input_size=codec['input_size']),
    dict(type='PackPoseInputs')
]

train_dataloader = dict(
    batch_size=32,
    num_workers=1,
    batch_sampler=dict(
        type='MixedDomainBatchSampler', samples_per_domain=dict(source=32)),
    dataset=dict(
        _delete_=True,
        type='MixedDomainDataset',
        joints=_base_.joints,
        source=_base_.source,
        pipeline=train_pipeline))
val_dataloader = dict(
    batch_size=64,
    num_workers=1,
    dataset=dict(_delete_=True, pipeline=val_pipeline, **_base_.target_val))
test_dataloader = val_dataloader
val_evaluator = dict(_delete_=True, **_base_.target_evaluator)
test_evaluator = val_evaluator

train_cfg = dict(
    _delete_=True, type='IterBasedTrainLoop', max_iters=1200, val_interval=1200)
optim_wrapper = dict(optimizer=dict(lr=1e-3))
param_scheduler = [
    dict(type='LinearLR', begin=0, end=100, start_factor=0.01, by_epoch=False),
    dict(
        type='MultiStepLR', begin=0, end=1200, milestones=[800, 1100], gamma=0.1,
        by_epoch=False)
]
log_processor = dict(by_epoch=False)

# The last checkpoint counts: choosing one by target labels is no unsupervised setting.
default_hooks = dict(
    checkpoint=dict(interval=400, by_epoch=False, max_keep_ckpts=3, save_best=None))
