# MPII, HRNet-W32: with the context encoder and pose prototypes.
_base_ = './mpii_hrnet_encoder.py'

model = dict(head=dict(prototypes=_base_.prototypes))
