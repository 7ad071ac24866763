# COCO to MPII, RTMPose-m, source only (direct transfer): the start of adaptation.
_base_ = [
    'mmpose::body_2d_keypoint/rtmpose/coco/rtmpose-m_8xb256-420e_coco-256x192.py',
    '../_base_/domains/coco2mpii.py',
    '../_base_/schedules/adaptation.py',
    '../_base_/runtime.py',
]

# MMPose's model of the source domain
load_from = (
    'https://download.openmmlab.com/mmpose/v1/projects/rtmposev1/'
    'rtmpose-m_simcc-coco_pt-aic-coco_420e-256x192-d8dd5ca4_20230127.pth')

model = dict(
    type='DomainAdaptiveTopdown',
    joints=_base_.joints,
    checkpoint_joints='CocoDataset',
    head=dict(out_channels=16))

# MMPose's second stage, without the transforms that need Albumentations.
train_pipeline = [
    dict(type='LoadImage'),
    dict(type='GetBBoxCenterScale'),
    dict(type='RandomFlip', direction='horizontal'),
    dict(type='RandomHalfBody'),
    dict(
        type='RandomBBoxTransform',
        shift_factor=0.,
        scale_factor=[0.75, 1.25],
        rotate_factor=60),
    dict(type='TopdownAffine', input_size=_base_.codec['input_size']),
    dict(type='mmdet.YOLOXHSVRandomAug'),
    dict(type='GenerateTarget', encoder=_base_.codec),
    dict(type='PackPoseInputs')
]
train_dataloader = dict(
    batch_size=32,
    num_workers=2,
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
    num_workers=2,
    worker_init_fn=_base_.worker_init_fn,
    dataset=dict(
        _delete_=True, pipeline=_base_.val_pipeline, **_base_.target_val))
test_dataloader = val_dataloader
val_evaluator = dict(_delete_=True, **_base_.target_evaluator)
test_evaluator = val_evaluator

optim_wrapper = dict(optimizer=dict(lr=1e-4))
param_scheduler = _base_.adaptation_schedule
auto_scale_lr = dict(base_batch_size=32)
train_cfg = dict(
    _delete_=True,
    **_base_.exact_epochs,
    max_epochs=_base_.adaptation_epochs,
    val_interval=5)

# No weight average, since the mean-teacher rows have their own, and no pipeline switch,
# since the second stage's pipeline is used throughout.
custom_hooks = []
default_hooks = dict(
    checkpoint=dict(_base_.safe_checkpoints, interval=1, max_keep_ckpts=3),
    **_base_.checks)
