# The rendered street, a small ResNet at 64 px: part-aware class activation maps alone,
# learned from part labels. Trains on a CPU in minutes.
_base_ = [
    'mmpose::body_2d_keypoint/topdown_heatmap/mpii/'
    'td-hm_res50_8xb64-210e_mpii-256x256.py',
    '../_base_/domains/studio2street.py',
    '../_base_/models/location_free.py',
    '../_base_/runtime.py',
]

codec = dict(type='PartLabels', input_size=(64, 64))

# Three of ResNet-18's four stages at half width: features of strides 4, 8, and 16.
model = dict(
    type='DomainAdaptiveTopdown',
    joints=_base_.joints,
    target_loss_weight=1.0,
    backbone=dict(
        depth=18,
        stem_channels=32,
        base_channels=32,
        num_stages=3,
        strides=(1, 2, 2),
        dilations=(1, 1, 1),
        out_indices=(0, 1, 2),
        init_cfg=None),
    head=dict(
        _base_.location_free_head,
        in_channels=(32, 64, 128),
        out_channels=16,
        channels=64,
        joints=_base_.joints,
        decoder=codec),
    test_cfg=dict(shift_heatmap=False))

train_pipeline = [
    dict(type='LoadImage'),
    dict(type='GetBBoxCenterScale', padding=1.1),
    *_base_.augmentations,
    dict(type='TopdownAffine', input_size=codec['input_size']),
    _base_.mark_parts,
    dict(type='GenerateTarget', encoder=codec),
    dict(type='PackPoseInputs')
]
val_pipeline = [
    dict(type='LoadImage'),
    dict(type='GetBBoxCenterScale', padding=1.1),
    dict(type='TopdownAffine', input_size=codec['input_size']),
    dict(type='PackPoseInputs')
]

val_part_pipeline = [
    *val_pipeline[:3],
    dict(_base_.mark_parts, whole=False),
    val_pipeline[3]
]

people = dict(_base_.target, labels='parts', part_crops=_base_.part_crops)
train_dataloader = dict(
    batch_size=32,
    num_workers=1,
    worker_init_fn=_base_.worker_init_fn,
    batch_sampler=dict(
        type='MixedDomainBatchSampler',
        samples_per_domain=dict(target_unlabeled=32)),
    dataset=dict(
        _delete_=True,
        type='MixedDomainDataset',
        joints=_base_.joints,
        target=people,
        pipeline=train_pipeline))
# Keypoints are evaluated on whole people, part labels on one part of each.
val_dataloader = dict(
    batch_size=64,
    num_workers=1,
    worker_init_fn=_base_.worker_init_fn,
    dataset=dict(
        _delete_=True,
        type='WholeAndPartCrops',
        dataset=_base_.target_val,
        joints=_base_.joints,
        pipeline=val_pipeline,
        part_pipeline=val_part_pipeline,
        part_crops=_base_.part_crops))
test_dataloader = dict(
    batch_size=64,
    num_workers=1,
    worker_init_fn=_base_.worker_init_fn,
    dataset=dict(_delete_=True, pipeline=val_pipeline, **_base_.target_val))
val_evaluator = [
    dict(_base_.target_evaluator, more_thr=(1.0, )),
    dict(type='PartLabelAP')
]
test_evaluator = val_evaluator[0]
target_metric = 'PCKh@1 (12 joints)'

train_cfg = dict(
    _delete_=True, **_base_.exact_iters, max_iters=600, val_interval=300)
optim_wrapper = dict(
    optimizer=dict(type='AdamW', lr=1e-3, weight_decay=0.01))
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
