# The rendered street, a small ResNet: the whole model, with related prototypes.
_base_ = './street_res18_prototypes.py'

model = dict(head=dict(relations=_base_.relations))
