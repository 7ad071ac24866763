# The rendered street, supervised, a small ResNet-50: all parts of EFASNet.
_base_ = './street_res50-small_baseline.py'

model = _base_.efasnet
