# The embedded pair, a small ResNet, semi-supervised: 20 % of the target images have
# labels.
_base_ = './studio2street_res18.py'

model = dict(adaptations=dict(isa=_base_.isa))

train_dataloader = dict(
    batch_sampler=dict(
        samples_per_domain=dict(target_labeled=8, target_unlabeled=8)),
    dataset=dict(labeled_target=dict(ratio=0.2)))
