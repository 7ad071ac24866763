# The embedded pair, a small ResNet, unsupervised: a mean teacher, style transfer, and
# information maximization.
_base_ = './studio2street_res18_mean-teacher.py'

model = dict(
    adaptations=dict(
        _delete_=True,
        style=_base_.light_style,
        mean_teacher=_base_.model.adaptations.mean_teacher,
        info_max=_base_.info_max))
