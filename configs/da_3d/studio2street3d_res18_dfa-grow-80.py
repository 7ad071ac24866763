# The embedded pair in 3D, domain feature alignment with the other policy of Zhang et
# al., Table 2: the share of people grows from 80 %.
_base_ = './studio2street3d_res18_dfa.py'

self_training = _base_.policy_80
