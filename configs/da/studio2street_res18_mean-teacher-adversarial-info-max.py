# The embedded pair, a small ResNet, unsupervised: a mean teacher, domain-adversarial
# training, and information maximization.
_base_ = './studio2street_res18_mean-teacher.py'

model = dict(
    adaptations=dict(
        adversarial=_base_.adversarial,
        info_max=_base_.info_max))
