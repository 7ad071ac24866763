# The embedded pair, a small ResNet, semi-supervised without adaptation: joint training
# on the source and the labels of 20 % of the target images. What the semi-supervised
# rows gain over this one comes from their losses.
_base_ = './studio2street_res18_mixed.py'

train_dataloader = dict(
    batch_sampler=dict(
        samples_per_domain=dict(target_labeled=8, target_unlabeled=8)),
    dataset=dict(labeled_target=dict(ratio=0.2)))
