# The embedded pair, a small ResNet, semi-supervised: ISA alone.
_base_ = [
    './studio2street_res18_joint.py',
    '../_base_/methods/human_level_shift.py',
]

model = dict(adaptations=dict(isa=_base_.isa))
