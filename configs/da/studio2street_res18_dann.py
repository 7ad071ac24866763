# The embedded pair, a small ResNet, unsupervised: domain-adversarial training.
_base_ = [
    './studio2street_res18_mixed.py',
    '../_base_/methods/feature_alignment.py',
]

model = dict(adaptations=dict(dann=_base_.dann))
