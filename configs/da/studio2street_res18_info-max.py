# The embedded pair, a small ResNet, unsupervised: information maximization alone.
_base_ = [
    './studio2street_res18_mixed.py',
    '../_base_/methods/multi_level_alignment.py',
]

model = dict(adaptations=dict(info_max=_base_.info_max))
