# EFASNet-50 on MPII at 384 x 384.
_base_ = './td-hm_efasnet-res50_8xb64-210e_mpii-256x256.py'

codec = dict(
    type='MSRAHeatmap', input_size=(384, 384), heatmap_size=(96, 96), sigma=3)
model = dict(head=dict(decoder=codec))

resized = dict(
    TopdownAffine=dict(input_size=codec['input_size']),
    GenerateTarget=dict(encoder=codec))
train_pipeline = [
    dict(transform, **resized.get(transform['type'], {}))
    for transform in _base_.train_pipeline
]
val_pipeline = [
    dict(transform, **resized.get(transform['type'], {}))
    for transform in _base_.val_pipeline
]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(pipeline=val_pipeline))
test_dataloader = val_dataloader
