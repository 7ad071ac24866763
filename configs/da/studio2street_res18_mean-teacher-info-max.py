# The embedded pair, a small ResNet, unsupervised: a mean teacher and information
# maximization.
_base_ = './studio2street_res18_mean-teacher.py'

model = dict(
    adaptations=dict(
        info_max=_base_.info_max))
