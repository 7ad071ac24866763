# The rendered street, a small ResNet: with the context encoder and pose prototypes.
_base_ = './street_res18_encoder.py'

model = dict(head=dict(prototypes=_base_.prototypes))
