# CrowdPose, HRNet-W32: all images have locations.
_base_ = './crowdpose_hrnet_all.py'

train_dataloader = dict(
    batch_sampler=dict(samples_per_domain=dict(_delete_=True, target_labeled=64)),
    dataset=dict(labeled_target=dict(ratio=1.0)))
