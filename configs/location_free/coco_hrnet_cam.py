# COCO, HRNet-W32: part-aware class activation maps alone, learned from part
# labels.
_base_ = [
    'mmpose::body_2d_keypoint/topdown_heatmap/'
    'coco/td-hm_hrnet-w32_8xb64-210e_coco-256x192.py',
    '../_base_/sets/coco.py',
    '../_base_/models/location_free.py',
    '../_base_/runtime.py',
]

codec = dict(type='PartLabels', input_size=(192, 256))

# Features of strides 4, 8, and 16.
model = dict(
    type='DomainAdaptiveTopdown',
    joints='CocoDataset',
    target_loss_weight=1.0,
    backbone=dict(extra=dict(stage4=dict(multiscale_output=True))),
    neck=dict(type='FeatureMapProcessor', select_index=(0, 1, 2)),
    head=dict(
        _base_.location_free_head,
        in_channels=(32, 64, 128),
        out_channels=17,
        joints='CocoDataset',
        decoder=codec),
    test_cfg=dict(shift_heatmap=False))

train_pipeline = [
    dict(type='LoadImage'),
    dict(type='GetBBoxCenterScale'),
    *_base_.augmentations,
    dict(type='TopdownAffine', input_size=codec['input_size']),
    _base_.mark_parts,
    dict(type='GenerateTarget', encoder=codec),
    dict(type='PackPoseInputs')
]
val_pipeline = [
    dict(type='LoadImage'),
    dict(type='GetBBoxCenterScale'),
    dict(type='TopdownAffine', input_size=codec['input_size']),
    dict(type='PackPoseInputs')
]

people = dict(
    labels='parts',
    part_crops=dict(_base_.part_crops, aspect_ratio=192 / 256),
    **_base_.coco_train)
train_dataloader = dict(
    batch_size=64,
    worker_init_fn=_base_.worker_init_fn,
    batch_sampler=dict(
        type='MixedDomainBatchSampler',
        samples_per_domain=dict(target_unlabeled=64)),
    dataset=dict(
        _delete_=True,
        type='MixedDomainDataset',
        joints='CocoDataset',
        target=people,
        pipeline=train_pipeline))
val_dataloader = dict(
    worker_init_fn=_base_.worker_init_fn,
    dataset=dict(_delete_=True, pipeline=val_pipeline, **_base_.coco_val))
test_dataloader = val_dataloader
val_evaluator = dict(
    ann_file='{{$MMPOSE_DA_DATA:data}}/coco/annotations/'
    'person_keypoints_val2017.json')
test_evaluator = val_evaluator

# The coarsest branch of HRNet is not used.
find_unused_parameters = True

train_cfg = dict(
    _delete_=True, **_base_.exact_epochs, max_epochs=210, val_interval=10)
default_hooks = dict(
    checkpoint=dict(_base_.safe_checkpoints, interval=10, max_keep_ckpts=3),
    **_base_.checks)
