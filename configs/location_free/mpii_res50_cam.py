# MPII, ResNet-50: part-aware class activation maps alone, learned from part
# labels.
_base_ = [
    'mmpose::body_2d_keypoint/topdown_heatmap/'
    'mpii/td-hm_res50_8xb64-210e_mpii-256x256.py',
    '../_base_/sets/mpii.py',
    '../_base_/sets/limb_joints.py',
    '../_base_/models/location_free.py',
    '../_base_/runtime.py',
]

codec = dict(type='PartLabels', input_size=(256, 256))

# Features of strides 4, 8, and, with a dilated last stage, 16.
model = dict(
    type='DomainAdaptiveTopdown',
    joints='MpiiDataset',
    target_loss_weight=1.0,
    backbone=dict(
        strides=(1, 2, 2, 1), dilations=(1, 1, 1, 2), out_indices=(0, 1, 3)),
    head=dict(
        _base_.location_free_head,
        in_channels=(256, 512, 2048),
        out_channels=16,
        joints='MpiiDataset',
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
    part_crops=_base_.part_crops,
    **_base_.mpii_train)
train_dataloader = dict(
    batch_size=64,
    worker_init_fn=_base_.worker_init_fn,
    batch_sampler=dict(
        type='MixedDomainBatchSampler',
        samples_per_domain=dict(target_unlabeled=64)),
    dataset=dict(
        _delete_=True,
        type='MixedDomainDataset',
        joints='MpiiDataset',
        target=people,
        pipeline=train_pipeline))
val_dataloader = dict(
    worker_init_fn=_base_.worker_init_fn,
    dataset=dict(_delete_=True, pipeline=val_pipeline, **_base_.mpii_val))
test_dataloader = val_dataloader
val_evaluator = dict(
    _delete_=True,
    type='SharedJointsMpiiPCK',
    joints=[*_base_.limb_joints, 'upper_neck', 'head_top'],
    more_thr=(1.0, ))
test_evaluator = val_evaluator

train_cfg = dict(
    _delete_=True, **_base_.exact_epochs, max_epochs=210, val_interval=10)
default_hooks = dict(
    checkpoint=dict(_base_.safe_checkpoints, interval=10, max_keep_ckpts=3),
    **_base_.checks)
