# Rendered crowds, supervised: the baseline of the street, with CrowdPose's joints and
# metric.
_base_ = ['./street_res50-small_baseline.py', '../_base_/sets/crowd.py']

model = dict(head=dict(out_channels=14))

train_dataloader = dict(
    dataset=dict(
        joints='CrowdPoseDataset', target=dict(_delete_=True, **_base_.crowd_train)))
val_dataloader = dict(
    dataset=dict(_delete_=True, pipeline=_base_.val_pipeline, **_base_.crowd_val))
test_dataloader = val_dataloader
val_evaluator = dict(_delete_=True, **_base_.crowd_evaluator)
test_evaluator = val_evaluator
target_metric = _base_.crowd_metric
