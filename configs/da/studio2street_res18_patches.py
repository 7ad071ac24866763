# The embedded pair, a small ResNet, unsupervised: source images of which patches of the
# target hide parts, without a loss on the target.
_base_ = [
    './studio2street_res18_mixed.py',
    '../_base_/methods/best.py',
]

model = dict(adaptations=dict(patches=_base_.patches))
