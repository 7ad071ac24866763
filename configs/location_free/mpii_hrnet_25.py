# MPII, HRNet-W32: 25 % of the images have locations, the others part labels.
_base_ = './mpii_hrnet_all.py'

train_dataloader = dict(
    batch_sampler=dict(
        samples_per_domain=dict(target_labeled=32, target_unlabeled=32),
        epoch_domain='target_unlabeled'),
    dataset=dict(labeled_target=dict(ratio=0.25)))
