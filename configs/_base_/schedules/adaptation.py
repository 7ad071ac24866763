# From a trained source model: 30 epochs of the source domain.
adaptation_epochs = 30
adaptation_schedule = [
    dict(type='LinearLR', begin=0, end=500, start_factor=0.001, by_epoch=False),
    dict(
        type='MultiStepLR', begin=0, end=30, milestones=[20, 27], gamma=0.1,
        by_epoch=True),
]
