# ResNet-50 at 256 px, from ImageNet weights, with three marginal heatmaps for 3D
# joints. The settings are those of the pretrain stage of Zhang et al., "Monocular 3D
# Human Pose Estimation with Domain Feature Alignment and Self Training", Sec. 4.2. What
# it does not say is marked as open.
_base_ = [
    'mmpose::body_2d_keypoint/topdown_heatmap/mpii/'
    'td-hm_res50_8xb64-210e_mpii-256x256.py',
    '../runtime.py',
]

# Sec. 4.2: images of 256 x 256 px, heatmaps of 32 x 32 cells. After Nibali et al., "3D
# Human Pose Estimation with 2D Marginal Heatmaps", WACV 2019, depth has as many cells.
codec = dict(
    type='MarginalHeatmap', input_size=(256, 256), heatmap_size=(32, 32, 32), sigma=1.0)

# Eq. 1: alpha is the factor of the labeled images, 0.5 in the pretrain stage.
model = dict(
    type='DomainAdaptiveTopdown',
    head=dict(
        _delete_=True,
        type='MarginalHeatmapHead',
        in_channels=2048,
        out_channels=17,
        loss=dict(type='MarginalKLLoss', loss_weight=0.5),
        decoder=codec),
    test_cfg=dict(flip_test=False))

# Open: the augmentation. The boxes have a margin of their own. The codec's pixels are
# those of the plain transform, not of `use_udp`.
train_pipeline = [
    dict(type='LoadImage'),
    dict(type='GetBBoxCenterScale', padding=1.0),
    dict(type='RandomFlip', direction='horizontal'),
    dict(
        type='RandomBBoxTransform',
        shift_prob=0,
        scale_factor=(0.75, 1.25),
        rotate_factor=30),
    dict(type='TopdownAffine', input_size=codec['input_size']),
    dict(type='TransformDepth'),
    dict(type='GenerateTarget', encoder=codec),
    dict(type='PackPoseInputs')
]
val_pipeline = [
    dict(type='LoadImage'),
    dict(type='GetBBoxCenterScale', padding=1.0),
    dict(type='TopdownAffine', input_size=codec['input_size']),
    dict(
        type='PackPoseInputs',
        meta_keys=('id', 'img_id', 'img_path', 'ori_shape', 'img_shape', 'input_size',
                   'input_center', 'input_scale', 'flip_indices', 'camera'))
]

# Sec. 4.2: batches of 32.
train_dataloader = dict(
    batch_size=32,
    worker_init_fn=_base_.worker_init_fn,
    batch_sampler=dict(
        type='MixedDomainBatchSampler', samples_per_domain=dict(source=32)),
    dataset=dict(
        _delete_=True, type='MixedDomainDataset', pipeline=train_pipeline))
val_dataloader = dict(worker_init_fn=_base_.worker_init_fn)
test_dataloader = val_dataloader
visualizer = dict(type='CameraPoseVisualizer')
auto_scale_lr = dict(base_batch_size=32)

# Sec. 4.2: SGD at a learning rate of 0.1, for 150 epochs. Open: momentum, weight decay,
# and a schedule; there are none here.
optim_wrapper = dict(optimizer=dict(_delete_=True, type='SGD', lr=0.1))
param_scheduler = None
train_cfg = dict(
    _delete_=True, **_base_.exact_epochs, max_epochs=150, val_interval=10)

default_hooks = dict(
    checkpoint=dict(_base_.safe_checkpoints, interval=1, max_keep_ckpts=2),
    **_base_.checks)
