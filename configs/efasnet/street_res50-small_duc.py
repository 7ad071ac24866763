# The rendered street, supervised, a small ResNet-50: DUC in the head.
_base_ = './street_res50-small_baseline.py'

model = _base_.duc
