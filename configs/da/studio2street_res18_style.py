# The embedded pair, a small ResNet, unsupervised: style transfer alone.
_base_ = [
    './studio2street_res18_mixed.py',
    '../_base_/methods/multi_level_alignment.py',
]

model = dict(adaptations=dict(style=dict(_base_.light_style, teacher_share=0)))
