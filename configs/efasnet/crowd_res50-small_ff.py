# Rendered crowds, supervised, a small ResNet-50: FF as the neck.
_base_ = './crowd_res50-small_baseline.py'

model = _base_.ff
