# RHD to FreiHAND, ResNet-101, source only (direct transfer).
_base_ = [
    '../_base_/models/res101_hands.py',
    '../_base_/domains/rhd2freihand.py',
]

model = dict(joints=_base_.joints, head=dict(out_channels=21))

train_dataloader = dict(
    dataset=dict(joints=_base_.joints, source=_base_.source))
val_dataloader = dict(
    dataset=dict(
        _delete_=True, pipeline=_base_.val_pipeline, **_base_.target_val))
test_dataloader = val_dataloader
val_evaluator = dict(_delete_=True, **_base_.target_evaluator)
test_evaluator = val_evaluator
