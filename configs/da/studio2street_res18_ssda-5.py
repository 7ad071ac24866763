# The embedded pair, a small ResNet, semi-supervised: 5 % of the target images have
# labels.
_base_ = './studio2street_res18_ssda.py'

train_dataloader = dict(dataset=dict(labeled_target=dict(ratio=0.05)))
