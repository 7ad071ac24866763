# CrowdPose, ResNet-50: part-aware class activation maps alone, learned from part
# labels.
_base_ = ['./coco_res50_cam.py', '../_base_/sets/crowdpose.py']

model = dict(
    joints='CrowdPoseDataset',
    head=dict(out_channels=14, joints='CrowdPoseDataset'))

train_dataloader = dict(
    dataset=dict(
        joints='CrowdPoseDataset',
        target=dict(
            _delete_=True,
            labels='parts',
            part_crops=dict(_base_.part_crops, aspect_ratio=192 / 256),
            **_base_.crowdpose_trainval)))
val_dataloader = dict(
    dataset=dict(
        _delete_=True, pipeline=_base_.val_pipeline, **_base_.crowdpose_test))
test_dataloader = val_dataloader
val_evaluator = dict(_delete_=True, **_base_.crowdpose_test_evaluator)
test_evaluator = val_evaluator
