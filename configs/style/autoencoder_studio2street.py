# The embedded pair at 64 px: an encoder for AdaIN, where VGG-19 is not available.
_base_ = ['./adain_studio2street.py', '../_base_/models/adain_light.py']

model = dict(
    _delete_=True,
    type='ImageAutoencoder',
    channels=_base_.light_channels,
    data_preprocessor=_base_.model.data_preprocessor)

train_dataloader = dict(
    batch_size=16,
    batch_sampler=dict(samples_per_domain=dict(source=8, target_unlabeled=8)))
train_cfg = dict(max_iters=1500)
optim_wrapper = dict(optimizer=dict(lr=1e-3))
param_scheduler = dict(
    type='CosineAnnealingLR', begin=0, eta_min=1e-5, by_epoch=False)
default_hooks = dict(checkpoint=dict(interval=500))
