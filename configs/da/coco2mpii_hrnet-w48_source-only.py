# COCO to MPII, HRNet-W48, source only (direct transfer): the start of adaptation.
_base_ = [
    'mmpose::body_2d_keypoint/topdown_heatmap/coco/td-hm_hrnet-w48_8xb32-210e_coco-256x192.py',
    '../_base_/domains/coco2mpii.py',
    '../_base_/schedules/adaptation.py',
    '../_base_/runtime.py',
]

# MMPose's model of the source domain
load_from = (
    'https://download.openmmlab.com/mmpose/v1/body_2d_keypoint/topdown_heatmap/coco/'
    'td-hm_hrnet-w48_8xb32-210e_coco-256x192-0e67c616_20220913.pth')

# The factor turns MMPose's mean over pixels into a squared distance of heatmaps.
model = dict(
    type='DomainAdaptiveTopdown',
    joints=_base_.joints,
    checkpoint_joints='CocoDataset',
    head=dict(out_channels=16, loss=dict(loss_weight=64 * 48)))

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
