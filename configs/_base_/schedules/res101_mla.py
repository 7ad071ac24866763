# Epochs 40 to 70 of Kim et al., ECCV 2022, Sec. 4. The first 40 train on the source
# alone, to provide a model to distill. The learning rate drops after 45 and 60.
mla_schedule = [
    dict(
        type='MultiStepLR', begin=0, end=15000, milestones=[2500, 10000], gamma=0.1,
        by_epoch=False)
]
