# The embedded pair in 3D, self-training with domain feature alignment from AdaBN.
_base_ = './studio2street3d_res18_adabn-self-training.py'

model = dict(adaptations=dict(dfa=_base_.dfa))
