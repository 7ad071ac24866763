# The embedded pair, a small ResNet, unsupervised: a mean teacher and style transfer, by
# AdaIN.
_base_ = [
    './studio2street_res18_mean-teacher-style.py',
    '../_base_/models/adain_light.py',
]

model = dict(
    adaptations=dict(style=dict(style=dict(_delete_=True, **_base_.adain_light))))
