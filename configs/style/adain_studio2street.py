# The embedded pair at 64 px, each in the style of the other: the decoder of AdaINStyle.
_base_ = [
    '../_base_/models/adain.py',
    '../_base_/domains/studio2street.py',
]

train_pipeline = [
    dict(type='LoadImage'),
    dict(type='GetBBoxCenterScale', padding=1.1),
    dict(type='RandomFlip', direction='horizontal'),
    dict(
        type='RandomBBoxTransform', shift_prob=0, scale_factor=(0.85, 1.25),
        rotate_factor=20),
    dict(type='TopdownAffine', input_size=(64, 64)),
    dict(type='PackPoseInputs')
]
train_dataloader = dict(
    num_workers=1,
    dataset=dict(
        joints=_base_.joints,
        source=_base_.source,
        target=_base_.target,
        pipeline=train_pipeline))

train_cfg = dict(max_iters=5000)
custom_hooks = [dict(type='StyleSamplesHook', interval=250)]
default_hooks = dict(checkpoint=dict(interval=1000))
