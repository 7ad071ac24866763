# CrowdPose, HRNet-W32: part-aware class activation maps alone, learned from part
# labels.
_base_ = [
    'mmpose::body_2d_keypoint/topdown_heatmap/'
    'crowdpose/td-hm_hrnet-w32_8xb64-210e_crowdpose-256x192.py',
    '../_base_/sets/crowdpose.py',
    '../_base_/models/location_free.py',
    '../_base_/runtime.py',
]

codec = dict(type='PartLabels', input_size=(192, 256))

# Features of strides 4, 8, and 16.
model = dict(
    type='DomainAdaptiveTopdown',
    joints='CrowdPoseDataset',
    target_loss_weight=1.0,
    backbone=dict(extra=dict(stage4=dict(multiscale_output=True))),
    neck=dict(type='FeatureMapProcessor', select_index=(0, 1, 2)),
    head=dict(
        _base_.location_free_head,
        in_channels=(32, 64, 128),
        out_channels=14,
        joints='CrowdPoseDataset',
        decoder=codec),
    test_cfg=dict(shift_heatmap=False))

train_pipeline = [
    *_base_.show_parts,
    dict(type='TopdownAffine', input_size=codec['input_size']),
    dict(type='GenerateTarget', encoder=codec),
    dict(type='PackPoseInputs')
]
val_pipeline = [
    *_base_.show_people,
    dict(type='TopdownAffine', input_size=codec['input_size']),
    dict(type='PackPoseInputs')
]

people = dict(
    labels='parts',
    part_crops=dict(_base_.part_crops, aspect_ratio=192 / 256),
    **_base_.crowdpose_trainval)
train_dataloader = dict(
    batch_size=64,
    worker_init_fn=_base_.worker_init_fn,
    batch_sampler=dict(
        type='MixedDomainBatchSampler',
        samples_per_domain=dict(target_unlabeled=64)),
    dataset=dict(
        _delete_=True,
        type='MixedDomainDataset',
        joints='CrowdPoseDataset',
        target=people,
        pipeline=train_pipeline))
val_dataloader = dict(
    worker_init_fn=_base_.worker_init_fn,
    dataset=dict(_delete_=True, pipeline=val_pipeline, **_base_.crowdpose_test))
test_dataloader = val_dataloader
val_evaluator = dict(_delete_=True, **_base_.crowdpose_test_evaluator)
test_evaluator = val_evaluator

# The coarsest branch of HRNet is not used.
find_unused_parameters = True

train_cfg = dict(
    _delete_=True, **_base_.exact_epochs, max_epochs=210, val_interval=10)
default_hooks = dict(
    checkpoint=dict(_base_.safe_checkpoints, interval=10, max_keep_ckpts=3),
    **_base_.checks)
