# Epochs 40 to 70 of Kim et al., ECCV 2022, Sec. 4: the first 40 train on the source
# alone, so that there is something to distill. Lower learning rates from 45 and 60 on.
mla_schedule = [
    dict(
        type='MultiStepLR', begin=0, end=15000, milestones=[2500, 10000], gamma=0.1,
        by_epoch=False)
]
