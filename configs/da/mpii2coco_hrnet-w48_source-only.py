# MPII to COCO, HRNet-W48, source only (direct transfer): the start of adaptation.
_base_ = [
    'mmpose::body_2d_keypoint/topdown_heatmap/mpii/td-hm_hrnet-w48_8xb64-210e_mpii-256x256.py',
    '../_base_/domains/mpii2coco.py',
    '../_base_/schedules/adaptation.py',
    '../_base_/runtime.py',
]

# MMPose's model of the source domain
load_from = (
    'https://download.openmmlab.com/mmpose/top_down/hrnet/'
    'hrnet_w48_mpii_256x256-92cab7bd_20200812.pth')

# The factor turns MMPose's mean over pixels into a squared distance of heatmaps.
model = dict(
    type='DomainAdaptiveTopdown',
    joints=_base_.joints,
    head=dict(loss=dict(loss_weight=64 * 64)))

train_dataloader = dict(
    batch_size=16,
    worker_init_fn=_base_.worker_init_fn,
    batch_sampler=dict(
        type='MixedDomainBatchSampler', samples_per_domain=dict(source=16)),
    dataset=dict(
        _delete_=True,
        type='MixedDomainDataset',
        joints=_base_.joints,
        source=_base_.source,
        pipeline=_base_.train_pipeline))
val_dataloader = dict(
    worker_init_fn=_base_.worker_init_fn,
    dataset=dict(
        _delete_=True, pipeline=_base_.val_pipeline, **_base_.target_val))
test_dataloader = val_dataloader
val_evaluator = dict(_delete_=True, **_base_.target_evaluator)
test_evaluator = val_evaluator

visualizer = dict(type='JointsVisualizer', joints=_base_.joints)

optim_wrapper = dict(optimizer=dict(lr=1e-4))
param_scheduler = _base_.adaptation_schedule
auto_scale_lr = dict(base_batch_size=16)
train_cfg = dict(
    _delete_=True,
    **_base_.exact_epochs,
    max_epochs=_base_.adaptation_epochs,
    val_interval=5)
default_hooks = dict(
    checkpoint=dict(_base_.safe_checkpoints, interval=1, max_keep_ckpts=3),
    **_base_.checks)
