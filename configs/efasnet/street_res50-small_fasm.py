# The rendered street, supervised, a small ResNet-50: FASM in the backbone.
_base_ = './street_res50-small_baseline.py'

model = _base_.fasm
