# The embedded pair, a small ResNet, unsupervised: strong-weak alignment.
_base_ = [
    './studio2street_res18_mixed.py',
    '../_base_/methods/feature_alignment.py',
]

# layer1 of the small ResNet has 32 channels.
model = dict(
    adaptations=dict(
        strong_local=dict(
            _base_.strong_local,
            discriminator=dict(type='LocalDomainDiscriminator', in_channels=32)),
        weak_global=_base_.weak_global))
