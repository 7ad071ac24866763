# The embedded pair, a small ResNet, unsupervised: the recipe of this toolbox for people
# in any orientation, to run with `--pair`. The people of the street are upright.
_base_ = './studio2street_res18_mean-teacher-weak.py'

model = dict(
    adaptations=dict(
        _delete_=True,
        views=_base_.turned_source,
        mean_teacher=dict(_base_.turned_teacher, momentum=0.98)))

train_cfg = dict(max_iters=1500)
