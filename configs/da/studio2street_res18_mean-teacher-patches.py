# The embedded pair, a small ResNet, unsupervised: a mean teacher whose student sees a
# weaker view, and source images of which patches of the target hide parts.
_base_ = './studio2street_res18_mean-teacher-weak.py'

model = dict(adaptations=dict(patches=_base_.patches))
