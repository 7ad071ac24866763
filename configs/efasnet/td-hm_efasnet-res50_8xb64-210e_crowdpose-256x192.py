# EFASNet-50 on CrowdPose at 256 x 192.
_base_ = [
    'mmpose::body_2d_keypoint/topdown_heatmap/crowdpose/'
    'td-hm_res50_8xb64-210e_crowdpose-256x192.py',
    '../_base_/models/efasnet.py',
    '../_base_/sets/crowdpose.py',
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
        joints='CrowdPoseDataset',
        source=_base_.crowdpose_trainval,
        pipeline=_base_.train_pipeline))
# With the boxes of MMPose's detector, as in its model zoo.
val_dataloader = dict(
    worker_init_fn=_base_.worker_init_fn,
    dataset=dict(
        _base_.crowdpose_test,
        bbox_file=_base_.crowdpose_test.data_root +
        'annotations/det_for_crowd_test_0.1_0.5.json'))
test_dataloader = val_dataloader
val_evaluator = _base_.crowdpose_test_evaluator
test_evaluator = val_evaluator

train_cfg = dict(
    _delete_=True, **_base_.exact_epochs, max_epochs=210, val_interval=10)
default_hooks = dict(
    checkpoint=dict(_base_.safe_checkpoints, interval=1, max_keep_ckpts=3),
    **_base_.checks)
