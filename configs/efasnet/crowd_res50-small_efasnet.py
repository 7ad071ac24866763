# Rendered crowds, supervised, a small ResNet-50: all parts of EFASNet.
_base_ = './crowd_res50-small_baseline.py'

model = _base_.efasnet
