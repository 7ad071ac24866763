# The embedded pair, a small ResNet, unsupervised: IHTA alone.
_base_ = [
    './studio2street_res18_mixed.py',
    '../_base_/methods/human_level_shift.py',
]

model = dict(adaptations=dict(ihta=_base_.ihta))
