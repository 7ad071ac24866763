# The rendered street, supervised: SimpleBaseline with a ResNet-50 of a quarter of the
# width at 96 px. Trains on a CPU in minutes, from random weights.
_base_ = [
    'mmpose::body_2d_keypoint/topdown_heatmap/mpii/'
    'td-hm_res50_8xb64-210e_mpii-256x256.py',
    '../_base_/models/efasnet_small.py',
    '../_base_/domains/studio2street.py',
    '../_base_/runtime.py',
]

# All rows predict at stride 4. UDP's heatmaps are exact at any stride, even with the
# flip test; see configs/da/studio2street_res18_pretrain.py. The loss factor turns
# MMPose's mean over pixels into a squared distance of heatmaps.
codec = dict(
    type='UDPHeatmap', input_size=(96, 96), heatmap_size=(24, 24), sigma=1.5)
model = dict(
    backbone=_base_.resnet,
    head=dict(
        _base_.deconvolutions, loss=dict(loss_weight=24 * 24), decoder=codec),
    test_cfg=dict(shift_heatmap=False))

train_pipeline = [
    dict(type='LoadImage'),
    dict(type='GetBBoxCenterScale', padding=1.1),
    dict(type='RandomFlip', direction='horizontal'),
    dict(
        type='RandomBBoxTransform', shift_prob=0, scale_factor=(0.85, 1.25),
        rotate_factor=20),
    dict(type='TopdownAffine', input_size=codec['input_size'], use_udp=True),
    dict(type='GenerateTarget', encoder=codec),
    dict(type='PackPoseInputs')
]
val_pipeline = [
    dict(type='LoadImage'),
    dict(type='GetBBoxCenterScale', padding=1.1),
    dict(type='TopdownAffine', input_size=codec['input_size'], use_udp=True),
    dict(type='PackPoseInputs')
]

train_dataloader = dict(
    batch_size=32,
    num_workers=1,
    worker_init_fn=_base_.worker_init_fn,
    batch_sampler=dict(
        type='MixedDomainBatchSampler', samples_per_domain=dict(target_labeled=32)),
    dataset=dict(
        _delete_=True,
        type='MixedDomainDataset',
        joints=_base_.joints,
        target=_base_.target,
        labeled_target=dict(ratio=1.0),
        pipeline=train_pipeline))
val_dataloader = dict(
    batch_size=64,
    num_workers=1,
    worker_init_fn=_base_.worker_init_fn,
    dataset=dict(_delete_=True, pipeline=val_pipeline, **_base_.target_val))
test_dataloader = val_dataloader
val_evaluator = dict(_delete_=True, **_base_.target_evaluator)
test_evaluator = val_evaluator

train_cfg = dict(
    _delete_=True, **_base_.exact_iters, max_iters=600, val_interval=300)
optim_wrapper = dict(optimizer=dict(lr=2e-3))
# No end: it is always `max_iters`.
param_scheduler = [
    dict(type='LinearLR', begin=0, end=50, start_factor=0.01, by_epoch=False),
    dict(type='CosineAnnealingLR', begin=0, eta_min=1e-5, by_epoch=False),
]
log_processor = dict(by_epoch=False)
default_hooks = dict(
    channels_last=dict(type='ChannelsLastHook'),
    checkpoint=dict(
        _base_.safe_checkpoints, interval=300, by_epoch=False, max_keep_ckpts=2),
    **_base_.checks)
