# The rendered street, a small ResNet: the whole model, where each part is shown as an
# image of its own.
_base_ = './street_res18_cam-crops.py'

model = dict(
    head=dict(
        encoder=dict(_base_.encoder, num_heads=4),
        prototypes=dict(_base_.prototypes, classify=True),
        relations=_base_.relations))
