# The embedded pair, a small ResNet, unsupervised: RegDA. Both regressors are new, as in
# its code: the source model gives the features.
_base_ = [
    './studio2street_res18_mixed.py',
    '../_base_/methods/regda.py',
]

model = dict(
    statistics='target',
    head=dict(_base_.regda_head, conv_out_channels=(32, )),
    adaptations=dict(regda=_base_.regda))

# An iteration of its code updates the features and the adversarial regressor twice.
optim_wrapper = dict(optimizer=dict(lr=4e-3))
