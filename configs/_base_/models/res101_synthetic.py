# ResNet-101 at 256 px, from ImageNet weights, for the pairs with a synthetic source.
# The budget, the rotation of bodies and animals and the scale are those of Kim et al.,
# "A Unified Framework for Domain Adaptive Pose Estimation", ECCV 2022: 70 epochs of 500
# steps, and a lower learning rate after 45 and 60. Their shear, blur and color jitter
# are not here.
_base_ = (
    'mmpose::body_2d_keypoint/topdown_heatmap/mpii/'
    'td-hm_res101_8xb64-210e_mpii-256x256.py')
custom_imports = dict(imports=['mmpose_da'])

# The factor makes MMPose's mean over pixels the squared distance of two heatmaps.
model = dict(
    type='DomainAdaptiveTopdown',
    head=dict(loss=dict(loss_weight=64 * 64)),
    test_cfg=dict(flip_test=False))

# The box is the crop, whose side is what PCK@0.05 refers to.
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
    batch_sampler=dict(
        type='MixedDomainBatchSampler', samples_per_domain=dict(source=32)),
    dataset=dict(
        _delete_=True, type='MixedDomainDataset', pipeline=train_pipeline))

train_cfg = dict(
    _delete_=True, type='IterBasedTrainLoop', max_iters=35000, val_interval=5000)
optim_wrapper = dict(optimizer=dict(lr=1e-4))
param_scheduler = [
    dict(type='LinearLR', begin=0, end=500, start_factor=0.001, by_epoch=False),
    dict(
        type='MultiStepLR', begin=0, end=35000, milestones=[22500, 30000], gamma=0.1,
        by_epoch=False)
]
auto_scale_lr = dict(base_batch_size=32)
log_processor = dict(by_epoch=False)

# The last checkpoint counts: choosing one by target labels is no unsupervised setting.
# That of iteration 20,000, after 40 epochs, is what the adapted rows start from.
default_hooks = dict(
    checkpoint=dict(
        interval=5000, by_epoch=False, max_keep_ckpts=4, save_best=None))
