# The embedded pair in 3D, domain feature alignment with a share of people that does not
# grow (Zhang et al., Table 2): 60 % in every round.
_base_ = './studio2street3d_res18_dfa.py'

self_training = _base_.fixed_60
