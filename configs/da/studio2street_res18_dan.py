# The embedded pair, a small ResNet, unsupervised: deep adaptation network, MMD.
_base_ = [
    './studio2street_res18_mixed.py',
    '../_base_/methods/feature_alignment.py',
]

model = dict(adaptations=dict(dan=_base_.dan))
