# EFASNet-50 on MPII at 256 x 256.
_base_ = [
    'mmpose::body_2d_keypoint/topdown_heatmap/mpii/'
    'td-hm_res50_8xb64-210e_mpii-256x256.py',
    '../_base_/models/efasnet.py',
    '../_base_/sets/mpii.py',
    '../_base_/runtime.py',
]

model = _base_.efasnet

train_dataloader = dict(
    worker_init_fn=_base_.worker_init_fn,
    batch_sampler=dict(
        type='MixedDomainBatchSampler', samples_per_domain=dict(source=64)),
    dataset=dict(
        _delete_=True,
        type='MixedDomainDataset',
        joints='MpiiDataset',
        source=_base_.mpii_train,
        pipeline=_base_.train_pipeline))
val_dataloader = dict(
    worker_init_fn=_base_.worker_init_fn,
    # MpiiPCKAccuracy needs the joints as MMPose reads them, from 1.
    dataset=dict(_base_.mpii_val, type='MpiiDataset'))
test_dataloader = val_dataloader

train_cfg = dict(
    _delete_=True, **_base_.exact_epochs, max_epochs=210, val_interval=10)
default_hooks = dict(
    checkpoint=dict(_base_.safe_checkpoints, interval=1, max_keep_ckpts=3),
    **_base_.checks)
