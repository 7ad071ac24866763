# EFASNet-50 on COCO at 256 x 192.
_base_ = [
    'mmpose::body_2d_keypoint/topdown_heatmap/coco/'
    'td-hm_res50_8xb64-210e_coco-256x192.py',
    '../_base_/models/efasnet.py',
    '../_base_/sets/coco.py',
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
        joints='CocoDataset',
        source=_base_.coco_train,
        pipeline=_base_.train_pipeline))
# With the boxes of MMPose's detector, as in its model zoo.
val_dataloader = dict(
    worker_init_fn=_base_.worker_init_fn,
    dataset=dict(
        data_root=_base_.coco_val.data_root,
        bbox_file=_base_.coco_val.data_root + 'person_detection_results/'
        'COCO_val2017_detections_AP_H_56_person.json'))
test_dataloader = val_dataloader
val_evaluator = dict(ann_file=_base_.coco_val.data_root + _base_.coco_val.ann_file)
test_evaluator = val_evaluator

train_cfg = dict(
    _delete_=True, **_base_.exact_epochs, max_epochs=210, val_interval=10)
default_hooks = dict(
    checkpoint=dict(_base_.safe_checkpoints, interval=1, max_keep_ckpts=3),
    **_base_.checks)
