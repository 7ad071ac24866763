# The embedded pair, a small ResNet, unsupervised: no labels in the target domain.
_base_ = [
    './studio2street_res18_mixed.py',
    '../_base_/methods/human_level_shift.py',
]

model = dict(
    adaptations=dict(
        cafa=_base_.cafa,
        ihta=_base_.ihta,
        entropy=_base_.entropy))
