# The rendered street, a small ResNet: all images have locations.
_base_ = './street_res18_all.py'

train_dataloader = dict(
    batch_sampler=dict(samples_per_domain=dict(_delete_=True, target_labeled=32)),
    dataset=dict(labeled_target=dict(ratio=1.0)))
