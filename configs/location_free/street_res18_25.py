# The rendered street, a small ResNet: 25 % of the images have locations, the others
# part labels.
_base_ = './street_res18_all.py'

train_dataloader = dict(
    batch_sampler=dict(samples_per_domain=dict(target_labeled=16, target_unlabeled=16)),
    dataset=dict(labeled_target=dict(ratio=0.25)))
