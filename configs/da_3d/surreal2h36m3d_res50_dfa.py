# SURREAL to Human3.6M in 3D, ResNet-50, self-training with domain feature alignment
# (Sec. 3.2): the row "Ours" of Table 1 of Zhang et al.
_base_ = './surreal2h36m3d_res50_self-training.py'

model = dict(adaptations=dict(dfa=_base_.dfa))
