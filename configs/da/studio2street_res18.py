# The embedded pair, a small ResNet, unsupervised: no labels in the target domain.
_base_ = [
    './studio2street_res18_mixed.py',
    '../_base_/methods/human_level_shift.py',
]

# Keypoint features from the decoder: the encoder's, at stride 16, are too coarse.
model = dict(
    adaptations=dict(
        cafa=_base_.cafa,
        ihta=dict(_base_.ihta, feature='head.deconv_layers', in_channels=32),
        entropy=_base_.entropy))
