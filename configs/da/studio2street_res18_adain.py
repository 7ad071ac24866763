# The embedded pair, a small ResNet, unsupervised: style transfer alone, by AdaIN.
_base_ = [
    './studio2street_res18_style.py',
    '../_base_/models/adain_light.py',
]

model = dict(
    adaptations=dict(style=dict(style=dict(_delete_=True, **_base_.adain_light))))
