# The rendered street, supervised, a small ResNet-50: FF as the neck.
_base_ = './street_res50-small_baseline.py'

model = _base_.ff
