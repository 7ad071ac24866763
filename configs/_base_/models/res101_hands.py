# Hands have any orientation: Kim et al. rotate them by up to 180 degrees.
_base_ = './res101_synthetic.py'

train_pipeline = [
    dict(transform, rotate_factor=180)
    if transform['type'] == 'RandomBBoxTransform' else transform
    for transform in _base_.train_pipeline
]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
