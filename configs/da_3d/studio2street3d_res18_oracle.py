# The embedded pair in 3D, oracle: trained on the target domain with all its labels.
_base_ = './studio2street3d_res18_source-only.py'

model = dict(target_loss_weight=1.0)

train_dataloader = dict(
    batch_sampler=dict(
        samples_per_domain=dict(_delete_=True, target_labeled=32)),
    dataset=dict(source=None, target=_base_.target, labeled_target=dict(ratio=1.0)))
