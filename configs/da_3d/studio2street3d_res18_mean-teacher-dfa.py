# The embedded pair in 3D, unsupervised: domain feature alignment with the labels of a
# mean teacher, which change in every iteration, instead of those of rounds.
_base_ = [
    './studio2street3d_res18_mean-teacher.py',
    '../_base_/methods/self_training_3d.py',
]

model = dict(adaptations=dict(dfa=_base_.dfa))
