# The embedded pair in 3D, self-training with domain feature alignment.
_base_ = './studio2street3d_res18_self-training.py'

model = dict(adaptations=dict(dfa=_base_.dfa))
