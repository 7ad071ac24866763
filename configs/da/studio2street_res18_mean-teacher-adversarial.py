# The embedded pair, a small ResNet, unsupervised: a mean teacher and domain-adversarial
# training.
_base_ = './studio2street_res18_mean-teacher.py'

model = dict(
    adaptations=dict(
        adversarial=_base_.adversarial))
