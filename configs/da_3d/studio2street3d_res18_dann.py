# The embedded pair in 3D, unsupervised: domain-adversarial training.
_base_ = [
    './studio2street3d_res18_mixed.py',
    '../_base_/methods/feature_alignment.py',
]

model = dict(adaptations=dict(dann=_base_.dann))
