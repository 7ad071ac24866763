# The embedded pair in 3D, a small ResNet at 64 px: the source model that the rows start
# from. Trains on a CPU in minutes.
_base_ = [
    'mmpose::body_2d_keypoint/topdown_heatmap/mpii/'
    'td-hm_res50_8xb64-210e_mpii-256x256.py',
    '../_base_/domains/studio2street3d.py',
    '../_base_/runtime.py',
]

# Zhang et al., "Monocular 3D Human Pose Estimation with Domain Feature Alignment and
# Self Training", Sec. 4.2: three marginal heatmaps, with 32 cells a side at 256 px.
codec = dict(
    type='MarginalHeatmap', input_size=(64, 64), heatmap_size=(16, 16, 16), sigma=1.0)

# Three of ResNet-18's four stages at half width: features of stride 16.
model = dict(
    type='DomainAdaptiveTopdown',
    joints=_base_.joints,
    backbone=dict(
        depth=18,
        stem_channels=32,
        base_channels=32,
        num_stages=3,
        strides=(1, 2, 2),
        dilations=(1, 1, 1),
        out_indices=(2, ),
        init_cfg=None),
    head=dict(
        _delete_=True,
        type='MarginalHeatmapHead',
        in_channels=128,
        out_channels=17,
        channels=32,
        decoder=codec))

train_pipeline = [
    dict(type='LoadImage'),
    dict(type='GetBBoxCenterScale', padding=1.1),
    dict(type='RandomFlip', direction='horizontal'),
    dict(
        type='RandomBBoxTransform', shift_prob=0, scale_factor=(0.85, 1.25),
        rotate_factor=20),
    dict(type='TopdownAffine', input_size=codec['input_size']),
    dict(type='TransformDepth'),
    dict(type='GenerateTarget', encoder=codec),
    dict(type='PackPoseInputs')
]
val_pipeline = [
    dict(type='LoadImage'),
    dict(type='GetBBoxCenterScale', padding=1.1),
    dict(type='TopdownAffine', input_size=codec['input_size']),
    dict(
        type='PackPoseInputs',
        meta_keys=('id', 'img_id', 'img_path', 'ori_shape', 'img_shape', 'input_size',
                   'input_center', 'input_scale', 'flip_indices', 'camera'))
]

train_dataloader = dict(
    batch_size=32,
    num_workers=1,
    worker_init_fn=_base_.worker_init_fn,
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
    worker_init_fn=_base_.worker_init_fn,
    dataset=dict(_delete_=True, pipeline=val_pipeline, **_base_.target_val))
test_dataloader = val_dataloader
visualizer = dict(type='CameraPoseVisualizer')
val_evaluator = _base_.target_evaluator
test_evaluator = val_evaluator

train_cfg = dict(
    _delete_=True, **_base_.exact_iters, max_iters=1000, val_interval=500)
optim_wrapper = dict(optimizer=dict(lr=2e-3))
# Without an end: that is `max_iters`, whatever it is.
param_scheduler = [
    dict(type='LinearLR', begin=0, end=50, start_factor=0.01, by_epoch=False),
    dict(type='CosineAnnealingLR', begin=0, eta_min=1e-5, by_epoch=False),
]
log_processor = dict(by_epoch=False)
default_hooks = dict(
    channels_last=dict(type='ChannelsLastHook'),
    checkpoint=dict(
        _base_.safe_checkpoints, interval=500, by_epoch=False, max_keep_ckpts=2),
    **_base_.checks)
