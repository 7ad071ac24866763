# The embedded pair, a small ResNet, unsupervised: IHTA alone.
_base_ = [
    './studio2street_res18_mixed.py',
    '../_base_/methods/human_level_shift.py',
]

# Keypoint features from the decoder: the encoder's, at stride 16, are too coarse.
model = dict(
    adaptations=dict(
        ihta=dict(_base_.ihta, feature='head.deconv_layers', in_channels=32)))
