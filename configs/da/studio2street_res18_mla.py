# The embedded pair, a small ResNet, unsupervised: full multi-level alignment.
_base_ = './studio2street_res18_mean-teacher.py'

model = dict(
    adaptations=dict(
        _delete_=True,
        style=_base_.light_style,
        mean_teacher=_base_.model.adaptations.mean_teacher,
        adversarial=_base_.adversarial,
        info_max=_base_.info_max))
